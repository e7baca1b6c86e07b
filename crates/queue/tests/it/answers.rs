//! Servers that have no place, are not ready, answer too slowly or without an end.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use automation_assistant_queue::{Error, Limits, RedisConfig};

use crate::support::server::RedisServer;
use crate::support::{LONG, until};

/// Connects to a server that reads a command and then does this; gives the error of the client.
fn met_by(
    credentials: &str,
    timeout: Duration,
    does: impl FnOnce(&mut TcpStream) + Send,
) -> (Error, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{credentials}{}", listener.local_addr().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut client, _) = listener.accept().unwrap();
            assert!(client.read(&mut [0; 1_024]).unwrap() > 0);
            does(&mut client);
        });
        let begun = Instant::now();
        let limits = Limits::new().max_job_bytes(1_024).max_result_bytes(4_096);
        let config = RedisConfig::new(url, "q").limits(limits).timeout(timeout);
        (config.connect().unwrap_err(), begun.elapsed())
    })
}

#[test]
fn an_error_says_whether_to_wait_or_to_mend_whatever_it_answers() {
    let password = ["", ":s3cret@", "user:s3cret@"];
    let rows = [
        ("ERR max number of clients reached", true, "maxclients"),
        ("ERR max number of clients + cluster connections reached", true, "maxclients"),
        ("LOADING Redis is loading the dataset in memory", true, "not ready (LOADING)"),
        ("MASTERDOWN Link with MASTER is down", true, "not ready (MASTERDOWN)"),
        ("TRYAGAIN Multiple keys request during rehashing", true, "not ready (TRYAGAIN)"),
        ("CLUSTERDOWN The cluster is down", true, "not ready (CLUSTERDOWN)"),
        ("BUSY Redis is busy running a script", true, "not ready (BUSY)"),
        ("NOREPLICAS Not enough good replicas to write.", true, "not ready (NOREPLICAS)"),
        ("WRONGPASS invalid username-password pair", false, "name or password"),
        ("NOAUTH Authentication required.", false, "name or password"),
    ];
    for (says, is_passing, expected) in rows {
        for password in password {
            let answer = |client: &mut TcpStream| {
                client.write_all(format!("-{says}\r\n").as_bytes()).unwrap();
            };
            let (error, _) = met_by(password, LONG, answer);
            assert!(error.to_string().contains(expected), "{says}, {password}: {error}");
            assert_eq!(error.is_passing(), is_passing, "{says}, {password}: {error}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }
    // Only of a password can it be so.
    let answer = |client: &mut TcpStream| {
        client.write_all(b"-ERR AUTH <password> called without any password\r\n").unwrap();
    };
    let (error, _) = met_by(":s3cret@", LONG, answer);
    assert!(matches!(&error, Error::Refused { what, .. } if what.contains("password")), "{error}");
}

#[test]
fn an_answer_that_comes_byte_by_byte_ends_in_time() {
    let timeout = Duration::from_millis(300);
    for credentials in ["", ":s3cret@"] {
        let (error, took) = met_by(credentials, timeout, |client| {
            let begun = Instant::now();
            client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            // Until the client is gone, each time after a wait for a word of it.
            let mut drip = client.try_clone().unwrap();
            let mut is_there = || !matches!(client.read(&mut [0; 64]), Ok(0));
            drip.write_all(b"+").unwrap();
            while is_there() && drip.write_all(b"x").is_ok() && begun.elapsed() < LONG {}
        });
        assert!(error.is_passing() && error.to_string().contains("in time"), "{error}");
        assert!(took >= timeout && took < LONG / 2, "{took:?}");
    }
}

/// A picture on a phone's link: each part comes, and all of it takes longer than the time-out.
#[test]
fn a_long_answer_over_a_slow_link_is_taken() {
    let timeout = Duration::from_secs(1);
    let (error, took) = met_by("", timeout, |client| {
        let part = vec![b'x'; 8 << 10];
        let parts = 16;
        let mut link = client.try_clone().unwrap();
        client.set_read_timeout(Some(timeout / 10)).unwrap();
        link.write_all(format!("${}\r\n", parts * part.len()).as_bytes()).unwrap();
        for _ in 0..parts {
            let _ = client.read(&mut [0; 64]);
            link.write_all(&part).unwrap();
        }
        link.write_all(b"\r\n").unwrap();
        // The next command is not answered.
        client.set_read_timeout(Some(LONG)).unwrap();
        assert!(client.read(&mut [0; 64]).unwrap() > 0);
    });
    assert!(error.to_string().contains("it broke") && took > timeout, "{took:?}: {error}");
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let mut sent = 0;
    let (error, _) = met_by("", LONG, |client| {
        client.write_all(b"$3000000000\r\n").unwrap();
        let block = vec![b'x'; 1 << 20];
        while sent < 1 << 30 && client.write_all(&block).is_ok() {
            sent += block.len();
        }
    });
    assert!(error.to_string().contains("longer than"), "{error}");
    // The client takes so many, and the system holds some between the two.
    assert!(sent < 64 << 20, "{sent} bytes were taken");
}

/// Says a command on a connection that stays; gives the answer up to this word's line.
fn say(stream: &mut TcpStream, command: &str, word: &str) -> String {
    // One that was turned away gets no answer.
    let _ = stream.write_all(format!("{command}\r\n").as_bytes());
    let (mut answer, mut bytes) = (String::new(), [0; 4_096]);
    while !answer.split_once(word).is_some_and(|(_, rest)| rest.contains("\r\n")) {
        let len = stream.read(&mut bytes).unwrap_or(0);
        if len == 0 {
            break;
        }
        answer += &String::from_utf8_lossy(&bytes[..len]);
    }
    answer
}

#[test]
fn a_server_with_as_many_clients_as_it_takes_is_waited_for() {
    let Some(server) = RedisServer::start(&["--maxclients", "2"]) else { return };
    // Those that have left count until the server has noticed.
    let join = || {
        let mut found = None;
        until("another client is in", || {
            let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
            let is_in = say(&mut stream, "PING", "").starts_with('+');
            found = is_in.then_some(stream);
            is_in
        });
        found.unwrap()
    };
    let mut queue = None;
    until("the queue is in", || {
        queue = RedisConfig::new(server.url(), "q").retry_for(LONG).connect().ok();
        queue.is_some()
    });
    let queue = queue.unwrap();
    let mut first = join();
    // Another takes the queue's place.
    say(&mut first, "CLIENT KILL TYPE normal SKIPME yes", ":");
    let second = join();
    let rejected = |stream: &mut TcpStream| {
        let stats = say(stream, "INFO stats", "rejected_connections:");
        let count = stats.lines().find_map(|line| line.strip_prefix("rejected_connections:"));
        count.unwrap().parse::<u32>().unwrap()
    };
    let before = rejected(&mut first);
    std::thread::scope(|scope| {
        let pushes = scope.spawn(|| queue.push("x"));
        until("the queue is turned away", || rejected(&mut first) > before);
        drop(second);
        pushes.join().unwrap().unwrap();
    });
    assert_eq!(queue.stats().unwrap().waiting, 1);
}

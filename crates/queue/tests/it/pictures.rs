//! A picture's way from a job to a provider.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use automation_assistant::HelperConfig;
use automation_assistant_queue::{Error, Job, JobState, Limits, Stop, Worker};
use serde_json::Value;

use crate::support::bench::{Bench, echo};

const ANSWER: &str = r#"{"choices":[{"message":{"role":"assistant","content":"a cat"},
    "finish_reason":"stop"}]}"#;

/// A usual picture of a phone, as far as anybody before the provider looks at it: the first bytes
/// of a PNG, and then as many as a camera's 12 megapixels take.
fn picture() -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend((0..5_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
    bytes
}

/// Takes one request, answers it, and gives its body.
fn serve_once(listener: &TcpListener) -> Vec<u8> {
    let (stream, _) = listener.accept().unwrap();
    let mut stream = BufReader::new(stream);
    let (mut line, mut len) = (String::new(), 0);
    while stream.read_line(&mut line).unwrap() > 2 {
        let header = line.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            len = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        ANSWER.len()
    );
    stream.get_mut().write_all(format!("{head}{ANSWER}").as_bytes()).unwrap();
    body
}

#[test]
fn a_phone_picture_goes_through_the_queue_to_the_provider_and_its_answer_back() {
    let bench = Bench::new(1, Limits::new(), echo);
    let id = bench.queue.push(Job::new("what is it?").image_bytes("image/png", picture())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1", listener.local_addr().unwrap());
    let config = HelperConfig::chatgpt().api_endpoint(endpoint).api_key("sk-test").max_retries(0);
    let sees = bench.manager.spawn_helper(config).unwrap();
    let body = std::thread::scope(|scope| {
        let body = scope.spawn(|| serve_once(&listener));
        let worker = Worker::new(&bench.queue, &bench.manager).helper(sees);
        assert_eq!(worker.until_empty().run(&Stop::new()).unwrap().completed, 1);
        body.join().unwrap()
    });
    let outcome = bench.queue.result(id).unwrap().unwrap();
    assert_eq!((outcome.state, outcome.result.as_deref()), (JobState::Completed, Some("a cat")));
    let body: Value = serde_json::from_slice(&body).unwrap();
    let parts = body["messages"].as_array().unwrap().last().unwrap()["content"].clone();
    let url = parts[0]["image_url"]["url"].as_str().unwrap();
    let data = url.strip_prefix("data:image/png;base64,").unwrap();
    // Four characters for each three bytes; the first ones spell a PNG.
    assert_eq!((data.len(), &data[..8]), (picture().len().div_ceil(3) * 4, "iVBORw0K"));
    assert_eq!(parts[1]["text"], "what is it?");
}

#[test]
fn a_picture_beyond_the_bound_is_refused_by_the_setter_that_raises_it() {
    let job = || Job::new("what is it?").image_bytes("image/png", picture());
    let bench = Bench::new(1, Limits::new().max_job_bytes(1 << 20), echo);
    let error = bench.queue.push(job()).unwrap_err();
    assert!(matches!(error, Error::InvalidJob(_)));
    assert!(error.to_string().contains("Limits::max_job_bytes"), "{error}");
}

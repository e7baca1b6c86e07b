//! The spool file: what outlives a restart.

use std::fs;
use std::io::Write;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use automation_assistant::{OpikSink, TraceId, TraceMode};

use super::stand_in::{Opik, Say, TAKEN, nobody};
use super::{echo, flush, manager, opik, run, run_many};
use crate::support::LONG;
use crate::telemetry::Folder;

#[cfg(unix)]
fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Long enough for one try at a dead server.
const ONE_TRY: Duration = Duration::from_millis(50);

#[test]
fn traces_survive_a_restart_and_go_in_order_under_their_ids() {
    let folder = Folder::new("opik-restart");
    let path = folder.join("traces.jsonl");
    let first = manager(opik(&nobody()).spool(&path));
    let helper = echo(&first, TraceMode::Content);
    let ids: Vec<_> = (0..7).map(|_| TraceId::new()).collect();
    for (n, id) in ids.iter().enumerate() {
        let request = automation_assistant::TaskRequest::new(format!("task {n}")).trace_id(*id);
        run(&first, helper, request);
        if n == 3 {
            assert_eq!(flush(&first, ONE_TRY), (0, 0, 4));
            assert_eq!(first.opik().unwrap().stats().spooled, 4);
        }
    }
    assert!(first.opik().unwrap().score(ids[0], "good", 1.0));
    let sink = first.opik().unwrap().clone();
    drop(first);
    assert_eq!((sink.stats().dropped, sink.stats().pending), (0, 8));
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 8);
    #[cfg(unix)]
    assert_eq!(mode(&path), 0o600);

    let server = Opik::willing();
    let second = manager(opik(&server.url()).spool(&path));
    assert_eq!(flush(&second, Duration::ZERO).2, 8, "known before anything is sent");
    let helper = echo(&second, TraceMode::Metadata);
    run(&second, helper, "new");
    assert_eq!(flush(&second, LONG), (9, 0, 0));
    let traces = server.items("traces");
    let came: Vec<_> = traces.iter().map(|trace| trace["id"].as_str().unwrap()).collect();
    let expected: Vec<_> = ids.iter().map(TraceId::to_string).collect();
    assert_eq!(came[..7], expected);
    assert_eq!(came.len(), 8, "the new one last, and none twice");
    assert_eq!(traces[0]["input"]["prompt"], "task 0");
    assert_eq!(server.items("spans")[6]["output"]["text"], "task 6");
    assert_eq!(server.items("scores")[0]["id"], expected[0]);
    drop(second);
    assert!(!path.exists(), "all is delivered");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn a_server_that_comes_back_gets_all_in_order_within_one_run() {
    let up = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_up = std::sync::Arc::clone(&up);
    let server = Opik::start(move |_, _| match is_up.load(std::sync::atomic::Ordering::SeqCst) {
        true => super::stand_in::TAKEN,
        false => Say::Status(503, ""),
    });
    let folder = Folder::new("opik-back");
    let manager = manager(opik(&server.url()).spool(folder.join("s")));
    let helper = echo(&manager, TraceMode::Content);
    for n in 0..250 {
        run(&manager, helper, format!("task {n}"));
    }
    assert_eq!(flush(&manager, ONE_TRY).0, 0);
    up.store(true, std::sync::atomic::Ordering::SeqCst);
    let before = server.asked().len();
    assert_eq!(flush(&manager, LONG), (250, 0, 0));
    let traces =
        server.asked()[before..].iter().flat_map(|asked| asked.items("traces")).collect::<Vec<_>>();
    let prompts: Vec<_> = traces.iter().map(|trace| trace["input"]["prompt"].clone()).collect();
    assert_eq!(prompts, (0..250).map(|n| format!("task {n}")).collect::<Vec<_>>());
}

#[test]
fn a_torn_line_and_a_foreign_one_cost_nothing_else() {
    let folder = Folder::new("opik-torn");
    let path = folder.join("s");
    let first = manager(opik(&nobody()).spool(&path));
    let helper = echo(&first, TraceMode::Metadata);
    run_many(&first, helper, 2);
    drop(first);
    let whole = fs::read_to_string(&path).unwrap();
    let half = &whole[..whole.len() / 4];
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(format!("not ours\n{half}").as_bytes()).unwrap();
    drop(file);
    let (send, asked) = channel();
    let (held, go) = channel::<()>();
    let go = std::sync::Mutex::new(go);
    let server = Opik::start(move |_, _| {
        send.send(()).unwrap();
        // Until the other end is dropped.
        let _ = go.lock().unwrap().recv_timeout(LONG);
        TAKEN
    });
    let second = manager(opik(&server.url()).spool(&path));
    echo(&second, TraceMode::Metadata);
    // The foreign line is counted as dropped by now, and still in the file.
    asked.recv_timeout(LONG).unwrap();
    drop(held);
    let began = Instant::now();
    assert_eq!(flush(&second, LONG), (2, 1, 0));
    assert!(began.elapsed() < LONG, "it waits for an entry that there is not");
    assert_eq!(server.items("traces").len(), 2);
}

#[test]
fn a_flush_ends_with_the_last_line_of_a_spool_that_holds_nothing_of_ours() {
    let folder = Folder::new("opik-foreign");
    let path = folder.join("s");
    // So many that the flush begins while they are read.
    const LINES: u64 = 50_000;
    fs::write(&path, "{\"trace\":\n".repeat(LINES as usize)).unwrap();
    let server = Opik::willing();
    let manager = manager(opik(&server.url()).spool(&path));
    echo(&manager, TraceMode::Metadata);
    let began = Instant::now();
    assert_eq!(flush(&manager, LONG), (0, LINES, 0));
    assert!(began.elapsed() < LONG, "nobody ends its wait");
}

#[test]
fn a_full_spool_drops_the_oldest_and_counts_them() {
    const BOUND: u64 = 1 << 20;
    let folder = Folder::new("opik-full");
    let path = folder.join("s");
    let first = manager(opik(&nobody()).spool(&path).spool_bytes(BOUND));
    let helper = echo(&first, TraceMode::Content);
    for n in 0..100 {
        run(&first, helper, format!("{n} {}", "x".repeat(10_000)));
        flush(&first, Duration::from_millis(1));
    }
    let sink = first.opik().unwrap().clone();
    drop(first);
    let stats = sink.stats();
    assert!(fs::metadata(&path).unwrap().len() <= BOUND);
    #[cfg(unix)]
    assert_eq!(mode(&path), 0o600, "the file that took the place of the full one");
    assert!(stats.dropped > 0, "{stats:?}");
    assert_eq!(stats.dropped + stats.pending, 100, "{stats:?}");
    let server = Opik::willing();
    let second = manager(opik(&server.url()).spool(&path));
    echo(&second, TraceMode::Metadata);
    assert_eq!(flush(&second, LONG), (stats.pending, 0, 0));
    let prompts: Vec<_> = server
        .items("traces")
        .iter()
        .map(|trace| {
            let prompt = trace["input"]["prompt"].as_str().unwrap();
            prompt.split(' ').next().unwrap().parse::<u64>().unwrap()
        })
        .collect();
    // Those that the thread was sending when old ones were dropped are kept.
    let sending = prompts.iter().take_while(|number| **number < stats.dropped).count();
    let newest: Vec<_> = (stats.dropped + sending as u64..100).collect();
    assert_eq!(&prompts[sending..], &newest[..], "{sending} in hand");
}

#[test]
fn a_refused_key_leaves_the_spool_for_a_better_one() {
    let folder = Folder::new("opik-key");
    let path = folder.join("s");
    let server = Opik::start(|_, _| Say::Status(401, ""));
    let first = manager(opik(&server.url()).spool(&path));
    let helper = echo(&first, TraceMode::Metadata);
    run(&first, helper, "one");
    flush(&first, LONG);
    assert_eq!(first.opik().unwrap().stats().disabled_by, Some(401));
    run(&first, helper, "two");
    drop(first);
    let server = Opik::willing();
    let second = manager(opik(&server.url()).spool(&path));
    echo(&second, TraceMode::Metadata);
    assert_eq!(flush(&second, LONG), (2, 0, 0));
}

/// Opens a sink on this spool; what it was refused for, if it was.
fn refused(path: &std::path::Path) -> Option<String> {
    let refused = OpikSink::new(opik(&nobody()).spool(path)).err();
    refused.map(|error| format!("{error:?}"))
}

#[test]
fn a_spool_is_one_sink_s_alone() {
    let folder = Folder::new("opik-one");
    let path = folder.join("s");
    let first = OpikSink::new(opik(&nobody()).spool(&path)).unwrap();
    for _ in 0..2 {
        assert!(refused(&path).unwrap().contains("another sink"));
    }
    assert_eq!(folder.files(), ["s"], "the lock is the kernel's");
    drop(first);
    assert_eq!(folder.files(), [""; 0]);
    // As another process would hold it; what such a one leaves when it is killed is no lock.
    let holder = fs::File::create(&path).unwrap();
    holder.lock().unwrap();
    assert!(refused(&path).unwrap().contains("another sink"));
    holder.unlock().unwrap();
    assert_eq!(refused(&path), None);
}

#[cfg(unix)]
#[test]
fn a_spool_that_others_may_read_becomes_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("opik-mode");
    let path = folder.join("s");
    // An empty file, and a spool that a backup has restored, say.
    for before in ["", "{\"trace\":{}}\n"] {
        for (others, expected) in [(0o644, 0o600), (0o660, 0o600), (0o777, 0o600), (0o700, 0o700)] {
            fs::write(&path, before).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(others)).unwrap();
            let sink = OpikSink::new(opik(&nobody()).spool(&path)).unwrap();
            assert_eq!(mode(&path), expected, "{others:o} {before}");
            assert_eq!(fs::read_to_string(&path).unwrap(), before);
            drop(sink);
            fs::remove_file(&path).ok();
        }
    }
    // A file that is no spool keeps its mode, too.
    fs::write(&path, "precious").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused(&path).unwrap().contains("no trace spool"));
    assert_eq!(mode(&path), 0o644);
}

#[test]
fn a_spool_that_was_moved_away_takes_no_other_file_with_it() {
    let folder = Folder::new("opik-moved");
    let path = folder.join("s");
    let sink = OpikSink::new(opik(&nobody()).spool(&path)).unwrap();
    fs::rename(&path, folder.join("elsewhere")).unwrap();
    fs::write(&path, "precious").unwrap();
    drop(sink);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[cfg(unix)]
#[test]
fn what_is_no_spool_is_refused_and_left_as_it_is() {
    use crate::telemetry::places::{in_time, pipe};
    let folder = Folder::new("opik-odd");
    let target = folder.join("target");
    fs::write(&target, "precious, without a newline").unwrap();
    std::os::unix::fs::symlink(&target, folder.join("link")).unwrap();
    pipe(&folder.join("pipe"));
    fs::create_dir(folder.join("dir")).unwrap();
    // An audit file, say, and what ends as a spool may: torn.
    fs::write(folder.join("audit"), "{\"timestamp\":1}\n").unwrap();
    fs::write(folder.join("notes"), "precious").unwrap();
    // As long as no line of ours is.
    fs::write(folder.join("photo"), vec![7; 5 << 20]).unwrap();
    for (name, why) in [
        ("link", "symbolic link"),
        ("pipe", "no plain file"),
        ("dir", "no plain file"),
        ("photo", "no trace spool"),
        ("audit", "no trace spool"),
        ("notes", "no trace spool"),
        (&"x".repeat(255), "File name too long"),
    ] {
        let path = folder.join(name);
        let said = in_time(move || refused(&path)).unwrap();
        assert!(said.contains(why), "{said}");
    }
    let linked = folder.join("linked");
    fs::hard_link(&target, &linked).unwrap();
    assert!(refused(&linked).unwrap().contains("hard links"));
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious, without a newline");
    assert_eq!(fs::metadata(folder.join("photo")).unwrap().len(), 5 << 20);
    assert_eq!(fs::read_to_string(folder.join("audit")).unwrap(), "{\"timestamp\":1}\n");
    assert_eq!(fs::read_to_string(folder.join("notes")).unwrap(), "precious");
    // A pipe in the place of the lock file that was, long ago, is none of our business.
    pipe(&folder.join("s.lock"));
    assert_eq!(
        in_time({
            let path = folder.join("s");
            move || refused(&path)
        }),
        None
    );
}

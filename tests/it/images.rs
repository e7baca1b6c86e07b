//! Pictures: what is accepted, what is refused and why, and who gets to see them.

use std::fs;
use std::path::PathBuf;

use automation_assistant::{
    AiBackend, AutomationHelper, CallContext, Error, ErrorKind, HelperConfig, MAX_IMAGE_FILE_BYTES,
    MAX_IMAGES, Reply, Role, TaskError, TaskRequest, Turn, WhenResultsFull,
};

use crate::support::pictures::{BEGINNINGS, PNG, png_of};
use crate::support::{FnBackend, LONG, Notes, one_helper};

/// A backend that accepts pictures, and answers with their types and sizes.
struct Sees;

impl AiBackend for Sees {
    fn name(&self) -> &str {
        "Sees"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        let request = call.request();
        let turns = request.get_turns().iter().flat_map(Turn::images);
        let seen = turns.chain(request.images()).map(|image| match image.url() {
            Some(url) => url.to_owned(),
            None => format!("{} {}", image.media_type().unwrap(), image.bytes().unwrap().len()),
        });
        Ok(Reply::new(seen.collect::<Vec<_>>().join(", ")))
    }

    fn accepts_images(&self) -> bool {
        true
    }
}

fn look() -> TaskRequest {
    TaskRequest::new("what is on it?")
}

fn png(request: TaskRequest) -> TaskRequest {
    request.image_bytes("image/png", PNG.to_vec())
}

/// Why the request is refused by a helper that takes pictures of 100 bytes; nothing if it is
/// accepted.
fn refusal(request: TaskRequest) -> Option<String> {
    let config = HelperConfig::local().max_image_bytes(100);
    let (manager, helper) = one_helper(config, Sees);
    match manager.submit_task(helper, request) {
        Ok(_) => None,
        Err(Error::InvalidRequest(why)) => Some(why),
        Err(other) => panic!("another error: {other}"),
    }
}

#[test]
fn what_is_no_picture_is_refused_with_words_that_help() {
    let url = |url: &str| look().image_url(url);
    let bytes = |media_type: &str, bytes: &[u8]| look().image_bytes(media_type, bytes.to_vec());
    let many = |count: usize| (0..count).fold(look(), |request, _| png(request));
    let before = |turn: Turn| look().turns([turn]);
    let rows: Vec<(TaskRequest, Option<&str>)> = vec![
        (png(look()), None),
        (bytes("image/jpeg", PNG), Some("picture 1 of 1 is image/png")),
        (bytes("image/PNG", PNG), Some("is image/png")),
        (bytes("", PNG), Some("is image/png")),
        (bytes("image/png", b""), Some("no PNG, JPEG, WebP or GIF")),
        (bytes("image/png", &PNG[..7]), Some("no PNG")),
        (bytes("image/svg+xml", b"<svg/>"), Some("no PNG")),
        (bytes("image/webp", b"RIFF\x24\x00\x00\x00WAVE"), Some("no PNG")),
        (bytes("image/gif", b"GIF88a"), Some("no PNG")),
        (bytes("image/png", &png_of(100)), None),
        (bytes("image/png", &png_of(101)), Some("max_image_bytes")),
        (png(look()).image_bytes("image/png", png_of(101)), Some("picture 2 of 2 has 101 bytes")),
        (many(MAX_IMAGES), None),
        (many(MAX_IMAGES + 1), Some("17 pictures")),
        (many(MAX_IMAGES).turns([Turn::user("").image_url("http://h")]), Some("17 pictures")),
        (before(Turn::user("").image_bytes("image/gif", PNG.to_vec())), Some("is image/png")),
        (before(Turn::user("look").image_bytes("image/png", PNG.to_vec())), None),
        (before(Turn::assistant("x").image_url("https://h/a.png")), Some("turn of the user")),
        (url("https://h.example/a.png?sig=%20"), None),
        (url("HTTP://127.0.0.1/ä"), None),
        (url("https://h/a b.png"), Some("percent-encode")),
        (url("https://h/\u{7f}"), Some("percent-encode")),
        (url("https://h/\r\nx: y"), Some("percent-encode")),
        (url(""), Some("http:// or https://")),
        (url("https://"), Some("and a host")),
        (url("https:///a.png"), Some("and a host")),
        (url("http://u:pw@"), Some("without user and password")),
        (url("http://@/a.png"), Some("and a host")),
        (url("http://u@h/a.png"), Some("without user and password")),
        (url("https://:443/a.png"), Some("and a host")),
        (url("https://h:port/a.png"), Some("and a host")),
        (url("https://[::1"), Some("and a host")),
        (url("https://[::1]:8080/a.png"), None),
        (url("ftp://h/a.png"), Some("http:// or https://")),
        (url("file:///etc/passwd"), Some("http:// or https://")),
        (url("data:image/png;base64,iVBORw0KGgo="), Some("the picture's bytes")),
        (url(&format!("https://h/{}", "a".repeat(8182))), None),
        (url(&format!("https://h/{}", "a".repeat(8183))), Some("8193 bytes")),
        // A picture is no prompt.
        (png(TaskRequest::new(" ")), Some("prompt is empty")),
    ];
    for (n, (request, expected)) in rows.into_iter().enumerate() {
        let shown = format!("row {n}: {request:?}");
        match (refusal(request), expected) {
            (None, None) => {}
            (Some(why), Some(word)) => assert!(why.contains(word), "{shown}: {why}"),
            (why, _) => panic!("{shown}: {why:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn the_bound_is_five_mebibytes_unless_set_and_json_can_set_it() {
    let of = |json: &str| -> HelperConfig { serde_json::from_str(json).unwrap() };
    for (config, most) in [
        (HelperConfig::local(), 5 << 20),
        (of(r#"{"backend_type": "local", "max_image_bytes": 9}"#), 9),
        (of(r#"{"backend_type": "local", "max_image_bytes": null}"#), 5 << 20),
    ] {
        let (manager, helper) = one_helper(config, Sees);
        let asked = |length| look().image_bytes("image/png", png_of(length));
        assert!(manager.submit_task(helper, asked(most)).is_ok(), "{most}");
        let error = manager.submit_task(helper, asked(most + 1)).unwrap_err();
        assert!(error.to_string().contains(&format!("takes {most}")), "{error}");
    }
    let none = AutomationHelper::new(HelperConfig::local().max_image_bytes(0)).unwrap();
    none.start().unwrap();
    assert!(none.submit_task(png(look())).is_err());
    assert!(none.submit_task(look()).is_ok());
}

#[test]
fn the_pictures_that_wait_are_bounded_together() {
    let of = |lengths: &[usize]| {
        let add = |request: TaskRequest, length: &usize| {
            request.image_bytes("image/png", png_of(*length))
        };
        lengths.iter().fold(look(), add)
    };
    let json = r#"{"backend_type": "local", "max_queued_image_bytes": 200}"#;
    let config: HelperConfig = serde_json::from_str(json).unwrap();
    let helper = AutomationHelper::new(config).unwrap();
    let first = helper.submit_task(of(&[50, 50])).unwrap();
    let turn = Turn::user("").image_bytes("image/png", png_of(51));
    helper.submit_task(look().turns([turn])).unwrap();
    let full = helper.submit_task(of(&[50])).unwrap_err();
    assert!(matches!(full, Error::QueueFull(_)) && full.to_string().contains("queued_image"));
    let request = full.into_request().unwrap();
    // A URL has no bytes and always fits.
    helper.submit_task(look()).unwrap();
    helper.submit_task(look().image_url("https://h/a.png")).unwrap();
    helper.submit_task(of(&[49])).unwrap();
    assert!(helper.cancel_task(first));
    helper.submit_task(request).unwrap();
    helper.submit_task(of(&[50])).unwrap();
    assert!(matches!(helper.submit_task(of(&[9])), Err(Error::QueueFull(_))));
    // A request that can never fit is not asked to wait.
    match helper.submit_task(of(&[100, 101])) {
        Err(Error::InvalidRequest(why)) => assert!(why.contains("max_queued_image_bytes"), "{why}"),
        other => panic!("{other:?}"),
    }
    let usual = AutomationHelper::new(HelperConfig::local()).unwrap();
    let most = vec![5 << 20; MAX_IMAGES];
    usual.submit_task(of(&most)).unwrap();
    assert!(matches!(usual.submit_task(of(&[9])), Err(Error::QueueFull(_))));
}

#[test]
fn a_backend_that_says_so_sees_all_pictures_and_no_other_gets_any() {
    let request = || {
        let turn = Turn::user("this").image_url("https://h/a.png");
        png(look()).turns([turn, Turn::assistant("a cat")])
    };
    let (manager, helper) = one_helper(HelperConfig::local(), Sees);
    let id = manager.submit_task(helper, request().clone()).unwrap();
    let task = manager.wait_task(helper, id, LONG).unwrap();
    assert_eq!(task.result.as_deref(), Some("https://h/a.png, image/png 69"));

    let blind = |call: &CallContext<'_>| -> Result<Reply, TaskError> {
        assert!(call.request().images().is_empty(), "called with a picture");
        Ok(Reply::new("text"))
    };
    let (custom, helper) = one_helper(HelperConfig::local(), FnBackend(blind));
    let notes = Notes::new();
    let embedded =
        AutomationHelper::builder(HelperConfig::local()).observer(notes.clone()).build().unwrap();
    embedded.start().unwrap();
    let only_in_a_turn = look().turns([Turn::user("x").image_url("https://h/a.png")]);
    for request in [request(), only_in_a_turn] {
        let id = custom.submit_task(helper, request.clone()).unwrap();
        let of_custom = custom.wait_task(helper, id, LONG).unwrap();
        let id = embedded.submit_task(request).unwrap();
        let of_embedded = embedded.wait_task(id, LONG).unwrap();
        for task in [of_custom, of_embedded] {
            assert_eq!(task.error.unwrap().kind(), ErrorKind::Unsupported);
            assert_eq!((task.result, task.attempts), (None, 0));
        }
    }
    // No call was made, so none is reported.
    assert!(notes.of(automation_assistant::EventKind::BackendCall).is_empty());
    let id = custom.submit_task(helper, "text").unwrap();
    assert!(custom.wait_task(helper, id, LONG).unwrap().is_success());
}

/// A path for a file of this test's own.
fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("aa-image-{}-{name}", std::process::id()))
}

#[test]
fn a_picture_s_type_is_found_by_its_first_bytes() {
    for (n, (media_type, begin)) in BEGINNINGS.into_iter().enumerate() {
        // The name says nothing.
        let path = path(&format!("{n}.txt"));
        fs::write(&path, begin).unwrap();
        let request = look().image_file(&path).unwrap();
        let turn = Turn::user("").image_file(&path).unwrap();
        fs::remove_file(&path).unwrap();
        for image in request.images().iter().chain(turn.images()) {
            assert_eq!((image.media_type(), image.bytes()), (Some(media_type), Some(begin)));
            assert_eq!(image.url(), None);
        }
        assert_eq!((request.images().len(), turn.images().len()), (1, 1));
    }
}

#[test]
fn a_file_that_cannot_be_a_picture_is_refused_by_name_and_never_waited_for() {
    let (none, text, large, folder) = (path("none"), path("text"), path("large"), path("folder"));
    fs::write(&text, "PNG").unwrap();
    fs::write(&large, PNG).unwrap();
    // Without a byte of it on the disk.
    let grow = |length| fs::File::options().write(true).open(&large).unwrap().set_len(length);
    fs::create_dir(&folder).unwrap();
    let refused = |path: &PathBuf, word: &str, io: bool| {
        let error = look().image_file(path).unwrap_err();
        let shown = error.to_string();
        assert_eq!(matches!(error, Error::Io { .. }), io, "{shown}");
        assert!(shown.contains(path.to_str().unwrap()) && shown.contains(word), "{shown}");
    };
    refused(&none, "reading the picture", true);
    refused(&folder, "no file", true);
    refused(&text, "no PNG, JPEG, WebP or GIF", false);
    grow(MAX_IMAGE_FILE_BYTES + 1).unwrap();
    refused(&large, "scale it down", false);
    grow(MAX_IMAGE_FILE_BYTES).unwrap();
    assert_eq!(look().image_file(&large).unwrap().images()[0].bytes().unwrap().len(), 32 << 20);
    #[cfg(target_os = "linux")]
    {
        // A pipe whose other end nobody opens.
        let pipe = path("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        refused(&pipe, "no file", true);
        fs::remove_file(&pipe).unwrap();
        refused(&PathBuf::from("/dev/zero"), "no file", true);
    }
    fs::remove_file(&text).unwrap();
    fs::remove_file(&large).unwrap();
    fs::remove_dir(&folder).unwrap();
}

#[test]
fn pictures_are_dropped_with_their_task_and_count_to_no_results() {
    let config = HelperConfig::local()
        .max_result_bytes(1000)
        .when_results_full(WhenResultsFull::RefuseTasks);
    let (manager, helper) = one_helper(config, Sees);
    for _ in 0..5 {
        let request = look().image_bytes("image/png", png_of(100_000));
        let id = manager.submit_task(helper, request).unwrap();
        let task = manager.wait_task(helper, id, LONG).unwrap();
        assert_eq!(task.result.as_deref(), Some("image/png 100000"));
        assert!(!serde_json::to_string(&task).unwrap().contains("image/png\""));
    }
}

#[test]
fn no_debug_output_shows_a_picture_or_its_url() {
    let bytes = png_of(40);
    let turn = Turn::user("t").image_url("https://h/secret?sig=1");
    let request = look().image_bytes("image/secret", bytes.clone()).turns([turn.clone()]);
    let shown = format!("{request:?} {turn:?} {:?}", request.images());
    assert!(shown.contains("images: 2") && shown.contains("url_bytes: 22"), "{shown}");
    assert!(shown.contains("\"image/png\"") && shown.contains("bytes: 40"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
    assert!(!shown.contains(&format!("{:?}", &bytes[8..12])), "{shown}");
    assert_eq!((turn.role, turn.text.as_str()), (Role::User, "t"));
}

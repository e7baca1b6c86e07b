//! The doctor: what is wrong, what is only not there, and what is asked to find out.

use super::*;

#[test]
fn doctor_offline_ends_as_it_found() {
    let run = run("doctor", &["--offline"]).says(" build ").says(" stack ").says("not asked");
    let fine = run.out.ends_with("Nothing is wrong.\n");
    assert_eq!(run.code, Some(i32::from(!fine)), "{}", run.out);
}

/// The lines that begin so, of a doctor who found something wrong.
#[track_caller]
fn wrong(run: Run) -> Vec<String> {
    let lines: Vec<_> = run.out.lines().filter(|line| line.starts_with("WRONG")).collect();
    let count = match lines.len() {
        0 => "Nothing is wrong.\n".to_owned(),
        1 => "1 thing is wrong.\n".to_owned(),
        many => format!("{many} things are wrong.\n"),
    };
    assert!(run.out.ends_with(&count), "{}", run.out);
    assert_eq!(run.code, Some(i32::from(!lines.is_empty())), "{}", run.out);
    lines.into_iter().map(str::to_owned).collect()
}

/// The doctor's findings under these conditions, less those without them.
#[track_caller]
fn wrong_with(folder: &Folder, set: &[(&str, &str)]) -> Vec<String> {
    let before = wrong(run_in(folder, "doctor", &["--offline"]));
    let mut found = wrong(run_with(folder, "doctor", &["--offline"], set));
    found.retain(|line| !before.contains(line));
    found
}

#[test]
fn doctor_takes_what_is_not_set_up_for_no_fault() {
    // Not offline: without a key and an address nobody outside is asked.
    let run = run("doctor", &[])
        .says("note  local      no model server; the embedded engine echoes -> start a model")
        .says("note  key        ChatGPT: OPENAI_API_KEY is not set -> export OPENAI_API_KEY=")
        .says("note  endpoint   Comet: not asked, as it is not set up\n")
        .never_says("dns");
    for line in wrong(run) {
        assert!(!line.contains("key") && !line.contains("endpoint"), "{line}");
    }
}

#[test]
fn doctor_names_each_thing_that_is_wrong() {
    let folder = Folder::new("wrong");
    let one = |variable: &str, value: &str, begin: &str, todo: &str| {
        let found = wrong_with(&folder, &[(variable, value)]);
        assert_eq!(found.len(), 1, "{variable}: {found:?}");
        assert!(found[0].starts_with(begin) && found[0].ends_with(todo), "{found:?}");
    };
    for key in ["\"sk-private\"", "sk-private two", "sk-priväte"] {
        let begin = "WRONG key        ChatGPT: OPENAI_API_KEY has ";
        one("OPENAI_API_KEY", key, begin, " -> copy the key again, alone");
    }
    one("OPIK_API_KEY", " ", "WRONG key        Comet: OPIK_API_KEY holds spaces only", "alone");
    for url in ["ftp://host/v1", "host:80/v1", "http://", "http://host:99999/v1"] {
        let begin = "WRONG endpoint   ChatGPT: OPENAI_BASE_URL is no http or https URL";
        one("OPENAI_BASE_URL", url, begin, " -> write it like https://api.openai.com/v1");
    }
    let begin = "WRONG endpoint   Comet: OPIK_URL_OVERRIDE is no http or https URL";
    one(
        "OPIK_URL_OVERRIDE",
        "localhost",
        begin,
        " -> write it like https://www.comet.com/opik/api",
    );
    if cfg!(feature = "tls") {
        let todo = " -> correct SSL_CERT_FILE, or unset it to use the bundled roots";
        one("SSL_CERT_FILE", "no/such.pem", "WRONG roots      SSL_CERT_FILE no/such.pem", todo);
        let empty = folder.0.join("empty.pem");
        fs::write(&empty, "no certificate\n").unwrap();
        let path = empty.to_str().unwrap();
        one(
            "SSL_CERT_FILE",
            path,
            &format!("WRONG roots      SSL_CERT_FILE {path} holds no"),
            todo,
        );
    }
    // Nothing of a key that is wrong is shown.
    let run = run_with(&folder, "doctor", &["--offline"], &[("OPENAI_API_KEY", "'private'")]);
    run.never_says("private");
}

/// Where the environment names nothing, Opik's configuration file may.
#[cfg(feature = "tls")]
#[test]
fn doctor_takes_the_configuration_file_of_opik_for_what_a_helper_takes_it_for() {
    let key = "[opik]\napi_key = private\nworkspace = w\n";
    let server = "[opik]\nurl_override = http://127.0.0.1:9/api\n";
    for text in [key, server] {
        let folder = Folder::new("opik-file");
        let before = wrong(run_in(&folder, "doctor", &["--offline"]));
        fs::write(folder.0.join(".opik.config"), text).unwrap();
        let run = run_in(&folder, "doctor", &["--offline"])
            .says("ok    key        Comet: can be asked without OPIK_API_KEY\n")
            .says("endpoint   Comet: not asked, as its address may be in a configuration file\n")
            .never_says("private");
        assert_eq!(wrong(run), before);
    }
    for (text, error) in [
        (None, "cannot read the Opik configuration "),
        (Some("[opik]\nurl_override = no url\n"), "api_endpoint"),
        (Some("[opik]\nurl_override = http://192.0.2.1/api\napi_key = private\n"), "plain http"),
        (Some("[opik]\napi_key = pri\u{1}vate\n"), "the API key"),
    ] {
        let folder = Folder::new("opik-broken");
        let before = wrong(run_in(&folder, "doctor", &["--offline"]));
        let path = folder.0.join(".opik.config");
        text.map_or_else(|| fs::create_dir(&path), |text| fs::write(&path, text)).unwrap();
        let run = run_in(&folder, "doctor", &["--offline"])
            .never_says("vate")
            .never_says("OPIK_API_KEY is not set");
        let mut found = wrong(run);
        found.retain(|line| !before.contains(line));
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert!(found[0].starts_with("WRONG helper     Comet: "), "{found:?}");
        assert!(found[0].contains(error), "{text:?}: {found:?}");
    }
}

/// Modes do not bind root; a file in the folder's place binds everybody.
#[test]
fn doctor_names_a_folder_that_cannot_be() {
    let folder = Folder::new("unwritable");
    let before = wrong(run_in(&folder, "doctor", &["--offline"]));
    fs::write(folder.0.join("src"), "a file\n").unwrap();
    let mut found = wrong(run_in(&folder, "doctor", &["--offline"]));
    found.retain(|line| !before.contains(line));
    let expected = "WRONG write      src is a file, where a folder is needed -> rename it, or go to \
                another folder";
    assert_eq!(found, [expected]);
}

#[cfg(feature = "http")]
#[test]
fn doctor_asks_the_model_server_for_its_models_and_nothing_else() {
    let folder = Folder::new("local");
    let models = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\
                  {\"data\":[{\"id\":\"/models/tiny\\u001b\\u202e.gguf\",\"object\":\"model\"}]}";
    let cases = [
        (models, "ok    local      the model server at 127.0.0.1:", " has tiny��.gguf ("),
        ("HTTP/1.0 503 Loading\r\n\r\n", "note  local", " is not ready -> wait a moment"),
        ("HTTP/1.1 401 No\r\n\r\n", "note  local", " wants a key"),
        ("HTTP/1.1 404 No\r\n\r\n", "WRONG local", "/v1/models answers with status 404"),
        ("HTTP/1.1 200 OK\r\n\r\n{\"data\":[]}", "WRONG local", "/v1/models lists no model"),
        ("HTTP/1.1 \u{1b}[2J\r\n\r\n", "WRONG local", " answers with status �[2 "),
        ("SSH-2.0-x\r\n", "WRONG local", " is no HTTP server -> correct the port"),
    ];
    for (answer, begin, expected) in cases {
        let (url, server) = one_answer(answer);
        // It is on this device: asked offline too. A key that is set is not for it.
        let set = [("DEMO_LOCAL_ENDPOINT", url.as_str()), ("OPENAI_API_KEY", "sk-private")];
        let run = run_with(&folder, "doctor", &["--offline"], &set);
        let asked = server.join().unwrap();
        assert!(asked.starts_with("GET /v1/models HTTP/1.0\r\nHost: 127.0.0.1:"), "{asked}");
        assert!(!asked.contains("private"), "{asked}");
        let line = run.out.lines().find(|line| line.contains(" local ")).unwrap();
        assert!(line.starts_with(begin) && line.contains(expected), "{line}");
    }
    // Nobody listens any more.
    let (url, server) = one_answer("");
    drop(std::net::TcpStream::connect(url[7..].trim_end_matches("/v1/")).unwrap());
    server.join().unwrap();
    let found = wrong_with(&folder, &[("DEMO_LOCAL_ENDPOINT", &url)]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("cannot be reached"), "{found:?}");
    assert!(found[0].ends_with(" -> start it, or correct the port in the address"), "{found:?}");
    let found = wrong_with(&folder, &[("DEMO_LOCAL_ENDPOINT", "127.0.0.1:8080")]);
    let expected = "WRONG local      DEMO_LOCAL_ENDPOINT is no http or https URL -> write it like \
                http://127.0.0.1:8080/v1";
    assert_eq!(found, [expected]);
}

#[cfg(feature = "http")]
#[test]
fn doctor_connects_to_a_service_that_is_set_up() {
    let folder = Folder::new("service");
    let (url, server) = one_answer("");
    let set = [("OPENAI_BASE_URL", url.as_str())];
    let run = run_with(&folder, "doctor", &["--offline"], &set);
    assert_eq!(server.join().unwrap(), "", "it is only connected to");
    let shown = url[7..].trim_end_matches("/v1/");
    let run = run.says(&format!("ok    endpoint   ChatGPT: {shown} accepts connections ("));
    let _ = wrong(run);
    let found = wrong_with(&folder, &set);
    assert_eq!(found.len(), 1, "{found:?}");
    let begin = format!("WRONG endpoint   ChatGPT: {shown} cannot be reached: ");
    assert!(found[0].starts_with(&begin), "{found:?}");
}

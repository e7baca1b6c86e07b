//! Cloud tasks while the device is beyond a limit: their outcomes and the decisions reported.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use automation_assistant::{
    AdmissionControl, AdmissionPolicy, AutomationAssistantManager, CancelHandle, CloudAction,
    Debrief, DeviceReader, DeviceWatch, Error, Event, EventKind, Fact, Fallback, HelperConfig,
    HelperId, Observe, TaskRequest, Telemetry, Together, Want, create_local_helper,
};
use serde_json::{Value, json};

use crate::support::{Cloud, LONG, Notes};

/// A short interval: the tests' devices change on command.
const SOON: Duration = Duration::from_millis(10);

/// A decision as reported: its name, pressure, target helper, and whether it has a time waited.
type Decision = (String, String, Option<String>, bool);

/// Sends each decision to the test.
struct Decisions(Mutex<Sender<Decision>>);

impl Observe for Decisions {
    fn on_event(&self, event: &Event<'_>) {
        if event.kind() != EventKind::Admission {
            return;
        }
        let fact = |name: &str| {
            let fact = event.fact(name)?;
            let Fact::Text(text) = fact else { panic!("{fact:?}") };
            Some(text.to_owned())
        };
        let decision = (
            fact("decision").unwrap(),
            fact("pressure").unwrap(),
            fact("to"),
            event.fact("waited_ms").is_some(),
        );
        self.0.lock().unwrap().send(decision).unwrap();
    }
}

/// A device whose battery is what the test says, with a manager over it.
struct Scene {
    folder: PathBuf,
    manager: AutomationAssistantManager,
    decisions: Receiver<Decision>,
    cloud: HelperId,
    local: HelperId,
}

impl Scene {
    /// The battery is low at first.
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("admission-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let battery = folder.join("sys/class/power_supply/battery");
        fs::create_dir_all(&battery).unwrap();
        fs::write(battery.join("type"), "Battery\n").unwrap();
        fs::write(battery.join("status"), "Discharging\n").unwrap();
        let (send, decisions) = channel();
        let manager = AutomationAssistantManager::builder()
            .observer(Arc::new(Decisions(Mutex::new(send))))
            .telemetry(Telemetry::to_file(folder.join("audit.jsonl")).unwrap())
            .build()
            .unwrap();
        let cloud = manager.spawn_helper_with(HelperConfig::local(), Cloud).unwrap();
        let local = create_local_helper(&manager, "local").unwrap();
        let scene = Self { folder, manager, decisions, cloud, local };
        scene.charge(7);
        scene
    }

    /// Sets the charge, whole at once for who reads it.
    fn charge(&self, percent: u8) {
        let battery = self.folder.join("sys/class/power_supply/battery");
        fs::write(battery.join("new"), percent.to_string()).unwrap();
        fs::rename(battery.join("new"), battery.join("capacity")).unwrap();
    }

    fn control(&self, action: CloudAction) -> AdmissionControl {
        let policy = AdmissionPolicy::new().min_battery_percent(20).when_beyond(action);
        let reader = DeviceReader::new().root(&self.folder);
        let device = DeviceWatch::new(reader).max_age(Duration::ZERO);
        AdmissionControl::new(policy).device(device).look_every(SOON).max_wait(LONG)
    }

    /// The next decision: what, to whom, whether with a time waited. The battery is why.
    #[track_caller]
    fn next(&self) -> (String, Option<String>, bool) {
        let (decision, pressure, to, waited) = self.decisions.recv_timeout(LONG).unwrap();
        assert_eq!(pressure, "battery");
        (decision, to, waited)
    }

    #[track_caller]
    fn nothing_more(&self) {
        assert_eq!(self.decisions.try_recv().ok(), None);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn decision(decision: &str, waited: bool) -> (String, Option<String>, bool) {
    (decision.to_owned(), None, waited)
}

#[test]
fn a_task_that_waits_goes_out_when_the_device_is_better() {
    let scene = Scene::new("later");
    let control = scene.control(CloudAction::Wait);
    let request = TaskRequest::new("x").deadline(LONG);
    let (helper, task) = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| control.submit(&scene.manager, scene.cloud, request));
        assert_eq!(scene.next(), decision("wait", false));
        scene.charge(80);
        waiting.join().unwrap().unwrap()
    });
    assert_eq!(helper, scene.cloud);
    assert_eq!(scene.next(), decision("admit_after_wait", true));
    let task = scene.manager.wait_task(helper, task, LONG).unwrap();
    assert_eq!(task.result.as_deref(), Some("from the cloud"));
    scene.nothing_more();
}

#[test]
fn a_wait_in_vain_ends_and_says_how_long_it_was() {
    let scene = Scene::new("vain");
    let waits = [
        scene.control(CloudAction::Wait).max_wait(Duration::from_millis(30)),
        // The task's own deadline is the shorter one.
        scene.control(CloudAction::Wait),
    ];
    for control in waits {
        let request = TaskRequest::new("mine").deadline(Duration::from_millis(30));
        let error = control.submit(&scene.manager, scene.cloud, request).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the battery is at 7 %, below the limit of 20 %"), "{text}");
        assert!(text.contains("; it waited ") && text.contains(" for that to get"), "{text}");
        let Error::NotAdmitted { waited, cancelled, request, .. } = error else {
            panic!("{error:?}")
        };
        assert!(waited.unwrap() >= Duration::from_millis(30) && !cancelled);
        assert_eq!(request.prompt(), "mine");
        assert_eq!(scene.next(), decision("wait", false));
        assert_eq!(scene.next(), decision("refuse_after_wait", true));
    }
    scene.nothing_more();
}

#[test]
fn a_wait_can_be_cancelled_from_another_thread() {
    let scene = Scene::new("cancel");
    let cancel = CancelHandle::new();
    // Would look again in an hour: the handle itself must wake it.
    let control = scene.control(CloudAction::Wait).cancel_handle(&cancel);
    let control = control.look_every(Duration::from_secs(3600)).max_wait(LONG * 100);
    let error = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| control.submit(&scene.manager, scene.cloud, "mine"));
        assert_eq!(scene.next(), decision("wait", false));
        cancel.cancel();
        waiting.join().unwrap().unwrap_err()
    });
    assert!(error.to_string().contains("its wait was cancelled after"), "{error}");
    assert!(matches!(&error, Error::NotAdmitted { cancelled: true, waited: Some(_), .. }));
    assert_eq!(error.into_request().unwrap().prompt(), "mine");
    assert_eq!(scene.next(), decision("cancel_wait", true));
    scene.nothing_more();
}

#[test]
fn a_wait_for_a_helper_that_goes_away_ends() {
    let scene = Scene::new("gone");
    let control = scene.control(CloudAction::Wait);
    let error = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| control.submit(&scene.manager, scene.cloud, "mine"));
        assert_eq!(scene.next(), decision("wait", false));
        scene.manager.terminate_helper(scene.cloud).unwrap();
        waiting.join().unwrap().unwrap_err()
    });
    assert!(matches!(error, Error::Stopped(_)), "{error:?}");
    assert_eq!(error.into_request().unwrap().prompt(), "mine");
    assert_eq!(scene.next(), decision("cancel_wait", true));
    scene.nothing_more();
}

/// Terminates the helper that is to get a task, as the decision is reported; a wait ends at once.
struct Terminates {
    scene: Mutex<Scene>,
    manager: OnceLock<Weak<AutomationAssistantManager>>,
}

impl Observe for Terminates {
    fn on_event(&self, event: &Event<'_>) {
        let gets_it = match (event.fact("decision"), event.fact("to")) {
            (Some(Fact::Text("wait")), _) => return self.scene.lock().unwrap().charge(80),
            (Some(Fact::Text("admit_after_wait")), _) => event.helper_id().unwrap(),
            (Some(Fact::Text("use_local")), Some(Fact::Text(to))) => to.parse().unwrap(),
            _ => return,
        };
        self.manager.get().unwrap().upgrade().unwrap().terminate_helper(gets_it).unwrap();
    }
}

#[test]
fn a_helper_that_goes_away_as_it_gets_the_task_returns_the_request() {
    for action in [CloudAction::Wait, CloudAction::UseLocal] {
        let scene = Scene::new(&format!("returned-{action}"));
        let control = scene.control(action);
        let observer = Arc::new(Terminates { scene: Mutex::new(scene), manager: OnceLock::new() });
        let manager = AutomationAssistantManager::builder().observer(observer.clone());
        let manager = Arc::new(manager.build().unwrap());
        observer.manager.set(Arc::downgrade(&manager)).unwrap();
        let cloud = manager.spawn_helper_with(HelperConfig::local(), Cloud).unwrap();
        let local = create_local_helper(&manager, "local").unwrap();
        let error = control.local_helper(local).submit(&manager, cloud, "mine").unwrap_err();
        assert!(matches!(error, Error::Stopped(_)), "{action}: {error:?}");
        assert_eq!(error.into_request().unwrap().prompt(), "mine");
    }
}

#[test]
fn local_takes_over_where_there_is_one_that_stays_here() {
    let scene = Scene::new("local");
    let control = || scene.control(CloudAction::UseLocal);
    let (helper, _) =
        control().local_helper(scene.local).submit(&scene.manager, scene.cloud, "x").unwrap();
    assert_eq!(helper, scene.local);
    assert_eq!(scene.next(), ("use_local".to_owned(), Some(scene.local.to_string()), false));

    // Without one, and with one that is gone, the task is refused, and reported so.
    let error = control().submit(&scene.manager, scene.cloud, "mine").unwrap_err();
    assert!(error.to_string().contains("AdmissionControl::local_helper"), "{error}");
    assert!(matches!(&error, Error::NotAdmitted { cancelled: false, waited: None, .. }));
    assert_eq!(error.into_request().unwrap().prompt(), "mine");
    assert_eq!(scene.next(), decision("refuse", false));
    let gone = create_local_helper(&scene.manager, "gone").unwrap();
    scene.manager.terminate_helper(gone).unwrap();
    let error =
        control().local_helper(gone).submit(&scene.manager, scene.cloud, "mine").unwrap_err();
    assert!(error.to_string().contains("the local helper was terminated"), "{error}");
    assert_eq!(scene.next(), decision("refuse", false));
    scene.nothing_more();
}

#[test]
fn a_local_helper_that_sends_tasks_away_is_refused_at_once() {
    let scene = Scene::new("away");
    // A mistake shows with a full battery too.
    scene.charge(90);
    let away = scene.manager.spawn_helper_with(HelperConfig::local(), Cloud).unwrap();
    let control = scene.control(CloudAction::UseLocal).local_helper(away);
    let submitted = control.submit(&scene.manager, scene.cloud, "x").unwrap_err();
    let listed = control.admitted(&scene.manager, &[scene.cloud]).unwrap_err();
    for error in [submitted, listed] {
        assert!(matches!(error, Error::InvalidConfig(_)), "{error:?}");
        assert!(error.to_string().contains("to another device"), "{error}");
    }
    // A task that stays here needs no local helper at all.
    control.submit(&scene.manager, scene.local, "x").unwrap();
    scene.nothing_more();
}

#[test]
fn fan_out_and_fallback_go_to_the_helpers_that_are_left() {
    let scene = Scene::new("together");
    let (manager, cloud, local) = (&scene.manager, scene.cloud, scene.local);
    let other = manager.spawn_helper_with(HelperConfig::local(), Cloud).unwrap();
    let all = [cloud, local, other];
    for action in [CloudAction::Wait, CloudAction::Refuse] {
        assert_eq!(scene.control(action).admitted(manager, &all).unwrap(), [local]);
        assert_eq!(scene.next(), decision("leave_out", false));
        assert_eq!(scene.next(), decision("leave_out", false));
    }
    let control = scene.control(CloudAction::UseLocal).local_helper(local);
    let to_local = ("use_local".to_owned(), Some(local.to_string()), false);
    let fit = control.admitted(manager, &[cloud, other]).unwrap();
    assert_eq!(fit, [local], "once, for both");
    assert_eq!(control.admitted(manager, &all).unwrap(), [local]);
    for _ in 0..4 {
        assert_eq!(scene.next(), to_local);
    }
    let request = TaskRequest::new("x");
    let together = Together::new(manager);
    let answers = together.fan_out(&fit, &request, Want::All).unwrap();
    assert!(answers.len() == 1 && answers[0].is_success());
    let report = Fallback::new(fit).run(&together, &request).unwrap();
    assert_eq!((report.helper(), report.tried.len()), (Some(local), 0));
    // The call reports an unknown helper; a Local helper needs no reading of the device.
    let gone = create_local_helper(manager, "gone").unwrap();
    manager.terminate_helper(gone).unwrap();
    assert_eq!(control.admitted(manager, &[gone, local]).unwrap(), [gone, local]);
    scene.charge(90);
    assert_eq!(control.admitted(manager, &all).unwrap(), all);
    scene.nothing_more();
}

#[test]
fn the_audit_file_and_the_debrief_report_each_decision() {
    let scene = Scene::new("audit");
    let submit = |control: AdmissionControl| {
        control.submit(&scene.manager, scene.cloud, "a private prompt").map(|_| ())
    };
    submit(scene.control(CloudAction::UseLocal).local_helper(scene.local)).unwrap();
    submit(scene.control(CloudAction::UseLocal)).unwrap_err();
    submit(scene.control(CloudAction::Refuse)).unwrap_err();
    submit(scene.control(CloudAction::Wait).max_wait(Duration::ZERO)).unwrap_err();
    scene.manager.terminate_all();
    let audit = scene.folder.join("audit.jsonl");
    let text = fs::read_to_string(&audit).unwrap();
    assert!(!text.contains("private"), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let admissions: Vec<_> = lines.iter().filter(|line| line["event"] == "admission").collect();
    let names: Vec<_> = admissions.iter().map(|line| line["decision"].as_str().unwrap()).collect();
    assert_eq!(names, ["use_local", "refuse", "refuse", "wait", "refuse_after_wait"]);
    assert_eq!(admissions[0]["to"], scene.local.to_string());
    assert_eq!(admissions[1].get("to"), None);
    assert!(admissions[4]["waited_ms"].is_number() && admissions[3].get("waited_ms").is_none());
    for line in admissions {
        assert_eq!(line["helper_id"], scene.cloud.to_string());
        assert_eq!((&line["backend"], &line["pressure"]), (&json!("Cloud"), &json!("battery")));
    }
    let debrief = Debrief::from_path(&audit).unwrap();
    let report = debrief.to_string();
    for line in [
        "  Admission: refuse (battery): 2 times\n",
        "  Admission: use local (battery): once\n",
        "  Admission: wait (battery): once\n",
        "  Admission: refuse after wait (battery): once\n",
    ] {
        assert!(report.contains(line), "{line}{report}");
    }
    let refused = json!({"decision": "refuse", "pressure": "battery", "count": 2});
    assert!(debrief.to_json()["admissions"].as_array().unwrap().contains(&refused));
}

#[test]
fn under_pressure_cloud_tasks_wait_are_refused_or_stay_here() {
    let notes = Notes::new();
    let manager = AutomationAssistantManager::builder().observer(notes.clone()).build().unwrap();
    let cloud = manager.spawn_helper_with(HelperConfig::local(), Cloud).unwrap();
    let local = create_local_helper(&manager, "local").unwrap();
    // A strict policy over an empty device tree: nothing is known, so nothing goes out.
    let nowhere = || DeviceWatch::new(DeviceReader::new().root("/nonexistent"));
    let policy =
        |action| AdmissionPolicy::new().min_battery_percent(20).strict(true).when_beyond(action);
    let control = |action| AdmissionControl::new(policy(action)).device(nowhere());
    let refused = control(CloudAction::Refuse).submit(&manager, cloud, "x").unwrap_err();
    assert!(matches!(&refused, Error::NotAdmitted { .. }), "{refused:?}");
    assert_eq!(refused.into_request().unwrap().prompt(), "x");
    let (helper, _) =
        control(CloudAction::UseLocal).local_helper(local).submit(&manager, cloud, "x").unwrap();
    assert_eq!(helper, local);
    let late =
        control(CloudAction::Wait).max_wait(Duration::from_millis(5)).submit(&manager, cloud, "x");
    assert!(matches!(late, Err(Error::NotAdmitted { .. })));
    // The wait has two: its begin and its end.
    assert_eq!(notes.of(EventKind::Admission).len(), 4);
    // Local tasks are never held back; cloud tasks within the limits are submitted.
    control(CloudAction::Refuse).submit(&manager, local, "x").unwrap();
    let open = AdmissionControl::new(AdmissionPolicy::new()).device(nowhere());
    assert_eq!(open.submit(&manager, cloud, "x").unwrap().0, cloud);
}

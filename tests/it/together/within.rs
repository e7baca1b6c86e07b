//! Calls that are made within a callback of the `Together` that they are made with.

use std::sync::LazyLock;

use super::*;
use crate::support::side_by_side;

/// The deadline of a call: far more than these helpers need.
const DEADLINE: Duration = Duration::from_secs(3);

/// A callback of `Together` has no borrow of a test's, and so neither have the clones in it.
static MANAGER: LazyLock<AutomationAssistantManager> =
    LazyLock::new(|| AutomationAssistantManager::new(HELPERS * CALLS.len() * PLACES.len()));

/// The most helpers of a row.
const HELPERS: usize = 4;

type Call = fn(&Together<'static>, HelperId) -> bool;

/// Each asks a helper, and says whether it answered.
const CALLS: [Call; 5] = [
    |together, helper| together.fan_out(&[helper], &"x".into(), Want::All).unwrap()[0].is_success(),
    |together, helper| together.race(&[helper], &"x".into()).unwrap().winner().is_some(),
    |together, helper| together.batch(&[helper], &["x".into()]).unwrap()[0].is_success(),
    |together, helper| together.pipeline(vec![Stage::new(helper, "x")]).unwrap().result().is_some(),
    // The helper that breaks off has delivered text; the silent one would have it start again.
    |together, helper| {
        let breaks = speaker(|| Err(TaskError::new(ErrorKind::Truncated, "planted")));
        let silent = spawn(&MANAGER, "silent", |_| Ok(Reply::new("x")));
        let fallback = Fallback::new([breaks, silent, helper]).restart_after_text(true);
        let answered = fallback.run(together, &"x".into()).unwrap().helper() == Some(silent);
        [breaks, silent].into_iter().for_each(end);
        answered
    },
];

#[derive(Debug, Clone, Copy)]
enum Place {
    Answer,
    Text,
}

const PLACES: [Place; 2] = [Place::Answer, Place::Text];

fn speaker(end: fn() -> Result<Reply, TaskError>) -> HelperId {
    spawn(&MANAGER, "speaker", move |call| {
        call.send_text("text")?;
        end()
    })
}

fn end(helper: HelperId) {
    MANAGER.terminate_helper(helper).unwrap();
}

#[test]
fn a_call_within_a_callback_is_answered_and_calls_that_callback_no_more() {
    let rows = PLACES.into_iter().flat_map(|place| CALLS.map(|call| (place, call)));
    side_by_side(rows, |(place, call)| {
        let [outer, inner] = [(); 2].map(|()| speaker(|| Ok(Reply::new("x"))));
        let (give, clones) = channel::<Together<'static>>();
        let (send, answers) = channel();
        let together = Together::new(&MANAGER).deadline(DEADLINE);
        let callback = move || {
            let answered = clones.try_recv().ok().map(|clone| call(&clone, inner));
            send.send(answered).unwrap();
            // A callback that panics has been left, too.
            assert!(answered.is_none(), "planted");
        };
        let together = match place {
            Place::Answer => together.on_answer(move |_| callback()),
            Place::Text => together.on_text(move |_, _| callback()),
        };
        give.send(together.clone()).unwrap();
        // A call that waits for itself would never return.
        std::thread::spawn(move || {
            for _ in 0..2 {
                together.fan_out(&[outer], &"x".into(), Want::All).unwrap();
            }
        });
        for expected in [Some(true), None] {
            assert_eq!(answers.recv_timeout(LONG), Ok(expected), "{place:?}");
        }
        assert!(answers.recv_timeout(LONG).is_err(), "{place:?}: called once more");
        [outer, inner].into_iter().for_each(end);
    });
}

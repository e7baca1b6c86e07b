//! A batch that every helper refuses.

use super::*;
use crate::{AutomationAssistantManager, HelperConfig, WhenResultsFull};

#[test]
fn a_batch_that_every_helper_refuses_has_an_end() {
    let manager = AutomationAssistantManager::new(1);
    let config = HelperConfig::local().max_results(1);
    let config = config.when_results_full(WhenResultsFull::RefuseTasks);
    let helper = manager.spawn(config).unwrap();
    // Nobody reads its result.
    helper.submit_task("x").unwrap();
    let (together, all) = (Together::new(&manager), [helper.helper_id()]);
    let requests = ["y".into(), "z".into()];
    let mut batch = Batch::new(&together, &all, &requests);
    batch.refused_since = Instant::now().checked_sub(DEFAULT_TOGETHER_DEADLINE);
    batch.run();
    for answer in batch.into_answers() {
        let outcome = answer.outcome;
        assert!(matches!(outcome, Err(Error::NotAsked { why: ErrorKind::Timeout, .. })));
    }
}

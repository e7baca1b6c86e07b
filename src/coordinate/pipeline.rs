//! Requests one after the other, each with the previous answer in its context.

use super::answer::Answer;
use super::call::CallWatch;
use super::together::Together;
use crate::error::Error;
use crate::id::HelperId;
use crate::task::{Task, TaskRequest};

/// One step of a pipeline.
#[derive(Debug)]
#[must_use]
pub struct Stage {
    helper: HelperId,
    request: TaskRequest,
    context_key: String,
}

/// Default context key of the previous stage's answer.
const PREVIOUS_KEY: &str = "previous_result";

impl Stage {
    /// A stage that sends this request to this helper. The answer of the previous stage is added
    /// to its context under the key `previous_result`.
    pub fn new(helper: HelperId, request: impl Into<TaskRequest>) -> Self {
        Self { helper, request: request.into(), context_key: PREVIOUS_KEY.to_owned() }
    }

    /// The context key of the previous stage's answer. Defaults to `previous_result`.
    pub fn context_key(mut self, key: impl Into<String>) -> Self {
        self.context_key = key.into();
        self
    }
}

/// The result of a pipeline.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pipeline {
    /// The ended tasks, in order; the last one may have failed.
    pub tasks: Vec<Task>,
    /// The error, if a stage could not be submitted or waited for.
    pub stopped_by: Option<Error>,
    stages: usize,
}

impl Pipeline {
    /// The last stage's text, if every stage succeeded.
    pub fn result(&self) -> Option<&str> {
        let all = self.tasks.len() == self.stages && self.tasks.iter().all(Task::is_success);
        self.tasks.last().filter(|_| all).and_then(|task| task.result.as_deref())
    }
}

impl Together<'_> {
    /// Runs stages one after the other; each gets the previous answer in its context. Ends at
    /// the first failure. A stage's own `on_done` and `on_reasoning` are called; so is its `on_text`,
    /// unless [`Together::on_text`] is set, which replaces it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if there is no stage; every other failure is in the pipeline.
    pub fn pipeline(&self, stages: Vec<Stage>) -> Result<Pipeline, Error> {
        if stages.is_empty() {
            return Err(Error::InvalidRequest("a pipeline needs at least one stage".into()));
        }
        let mut call = CallWatch::new(self, self.whole());
        let mut pipeline = Pipeline { tasks: Vec::new(), stopped_by: None, stages: stages.len() };
        for (index, stage) in stages.into_iter().enumerate() {
            if let Some(why) = call.over() {
                let request = Box::new(stage.request);
                pipeline.stopped_by = Some(Error::NotAsked { why, request });
                break;
            }
            let mut request = self.prepare(stage.request, stage.helper, call.until());
            let previous = pipeline.tasks.last().and_then(|task| task.result.clone());
            if let Some(text) = previous {
                request = request.context(stage.context_key, text);
            }
            let outcome =
                self.submit(request, stage.helper).and_then(|task| call.await_task(task, None));
            let answer = Answer { index, helper_id: stage.helper, outcome };
            self.report_answer(&answer);
            match answer.outcome {
                Ok(task) => {
                    let failed = !task.is_success();
                    pipeline.tasks.push(task);
                    if failed {
                        break;
                    }
                }
                Err(error) => {
                    pipeline.stopped_by = Some(error);
                    break;
                }
            }
        }
        Ok(pipeline)
    }
}

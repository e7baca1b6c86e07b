//! One task of a Local helper: of the core alone, or through a queue of the engine that is built
//! in. `queue-cost PLACE`, where PLACE is the queue's file or its server's URL.

use std::error::Error;

use automation_assistant::{AutomationAssistantManager, create_local_helper};

fn main() -> Result<(), Box<dyn Error>> {
    let place = std::env::args().nth(1).unwrap_or_default();
    let manager = AutomationAssistantManager::new(1);
    let helper = create_local_helper(&manager, "echo")?;
    println!("{}", answer(&manager, helper, &place)?);
    Ok(())
}

#[cfg(not(any(feature = "embedded", feature = "redis")))]
fn answer(
    manager: &AutomationAssistantManager,
    helper: automation_assistant::HelperId,
    _place: &str,
) -> Result<String, Box<dyn Error>> {
    let task = manager.submit_task(helper, "Hello from this device")?;
    let done = manager.wait_task(helper, task, std::time::Duration::from_secs(10))?;
    Ok(done.result.unwrap_or_default())
}

#[cfg(any(feature = "embedded", feature = "redis"))]
fn answer(
    manager: &AutomationAssistantManager,
    helper: automation_assistant::HelperId,
    place: &str,
) -> Result<String, Box<dyn Error>> {
    use automation_assistant_queue::{Job, Stop, Worker};
    #[cfg(feature = "embedded")]
    let queue = automation_assistant_queue::JobQueue::open(place)?;
    #[cfg(not(feature = "embedded"))]
    let queue = automation_assistant_queue::RedisConfig::new(place, "cost").connect()?;
    let id = queue.push(Job::new("Hello from this device"))?;
    Worker::new(&queue, manager).helper(helper).until_empty().run(&Stop::new())?;
    Ok(queue.result(id)?.and_then(|outcome| outcome.result).unwrap_or_default())
}

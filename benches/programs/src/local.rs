//! The Local-only programs: `PROGRAM [TASKS [wait [HELPERS]]]`.

use std::io::{Read, Write};
use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, Error, create_local_helper};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub fn run(manager: AutomationAssistantManager) -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let tasks: u32 = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let wait = arguments.next().is_some();
    let count: usize = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut helpers = Vec::with_capacity(count);
    for _ in 0..count {
        helpers.push(create_local_helper(&manager, "echo")?);
    }
    for &helper in &helpers {
        for n in 0..tasks {
            let task = manager.submit_task(helper, "Hello from this device")?;
            let done = manager.wait_task(helper, task, ANSWER_WITHIN)?;
            if n == 0 && !wait {
                println!("{}", done.result.unwrap_or_default());
            }
        }
    }
    if wait {
        println!("READY");
        let _ = std::io::stdout().flush();
        let _ = std::io::stdin().read(&mut [0]);
    }
    Ok(())
}

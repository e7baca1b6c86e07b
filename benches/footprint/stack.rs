//! How deep a helper's stack gets, by build profile: resident pages of its mapping.

use std::process::Command;

use crate::programs::{self, Running, Set, TOOLS};
use crate::report::{Report, Row};
use crate::{Fault, Options};

/// The stack that benches/programs/src/client.rs asks for, in KiB: no other mapping has it.
const STACK_KIB: u64 = 1024 + 68;

const PROFILES: [&str; 3] = ["size", "release", "dev"];

pub(crate) fn measure(_: &Options, report: &mut Report) -> Result<(), Fault> {
    let tools = programs::build(&TOOLS)?;
    for how in ["plain", "tls"] {
        let mut row = Row::new(format!("one {how} call, answered"), "KiB of stack touched");
        for profile in PROFILES {
            let set = Set { profile, features: "tls", programs: &["client_default"] };
            let client = programs::build(&set)?.join("client_default");
            let pem = programs::scratch("stack.pem");
            let mut command = Command::new(tools.join("server"));
            let mut server = Running::start(command.arg(how).arg("answer").arg(&pem))?;
            let address = server.line_after("READY")?;
            let scheme = if how == "tls" { "https" } else { "http" };
            let mut command = Command::new(client);
            command.arg(format!("{scheme}://{address}/v1")).arg("1").env("REST", "1");
            if how == "tls" {
                command.arg(&pem);
            }
            let mut running = Running::start(&mut command)?;
            let answer = running.line()?;
            if answer != "hello" {
                return Err(format!("{profile}, {how}: {answer}").into());
            }
            running.line_after("READY")?;
            let touched = crate::process::resident_of_mapping(running.id(), STACK_KIB)?;
            let note = if touched.is_some() { "" } else { "its mapping was not found" };
            let role = crate::report::Role::Us;
            row = row.entry(role, format!("profile {profile}"), touched.map(|k| k as f64), note);
        }
        report.add(row);
    }
    Ok(())
}

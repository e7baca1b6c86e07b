//! Short forms of the turns of a conversation.

use super::{Role, Turn};

impl Turn {
    /// What the person said, or the program in its place.
    ///
    /// ```
    /// use automation_assistant::{TaskRequest, Turn};
    ///
    /// let turns = [Turn::user("My name is Ada."), Turn::assistant("Hello, Ada.")];
    /// let request = TaskRequest::new("What is my name?").turns(turns);
    /// assert_eq!(request.get_turns().len(), 2);
    /// ```
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, text: text.into() }
    }

    /// What the model answered.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { role: Role::Assistant, text: text.into() }
    }
}

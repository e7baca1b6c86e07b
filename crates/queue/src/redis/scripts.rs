//! The scripts that run in the server: each is one atomic step.

/// A script, with the parts that it shares with others before it.
macro_rules! script {
    (push) => {
        concat!(include_str!("lua/names.lua"), include_str!("lua/push.lua"))
    };
    ($file:literal) => {
        concat!(
            include_str!("lua/names.lua"),
            include_str!("lua/prelude.lua"),
            include_str!(concat!("lua/", $file))
        )
    };
}

/// The scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    Push,
    Exchange,
    Status,
    Outcome,
    Cancel,
    Dead,
    RetryDead,
    Purge,
    Stats,
    Adopt,
    Leave,
}

impl Script {
    pub(crate) const ALL: [Self; 11] = [
        Self::Push,
        Self::Exchange,
        Self::Status,
        Self::Outcome,
        Self::Cancel,
        Self::Dead,
        Self::RetryDead,
        Self::Purge,
        Self::Stats,
        Self::Adopt,
        Self::Leave,
    ];

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Push => script!(push),
            Self::Exchange => script!("exchange.lua"),
            Self::Status => script!("status.lua"),
            Self::Outcome => script!("outcome.lua"),
            Self::Cancel => script!("cancel.lua"),
            Self::Dead => script!("dead.lua"),
            Self::RetryDead => script!("retry_dead.lua"),
            Self::Purge => script!("purge.lua"),
            Self::Stats => script!("stats.lua"),
            Self::Adopt => script!("adopt.lua"),
            Self::Leave => script!("leave.lua"),
        }
    }
}

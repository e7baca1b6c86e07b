//! What real servers, proxies and devices do, case by case: each row a raw input, where it was
//! seen, and what a user expects. A case is added by a row.

mod wire;

//! The list of tensors: each must begin where the one before it ends, and lie within the file.

use std::collections::HashSet;
use std::io::Read;

use super::Source;

/// Longest name of a tensor, in bytes (llama.cpp's own bound).
const NAME_BYTES_MAX: usize = 63;
/// Most dimensions of a tensor.
const DIMENSIONS_MAX: u64 = 4;

/// Elements and bytes of a block of each type of tensor; what is missing is no type (any more).
#[rustfmt::skip]
const TYPES: [(u64, u64, u64); 36] = [
    (0, 1, 4), (1, 1, 2), (2, 32, 18), (3, 32, 20), (6, 32, 22), (7, 32, 24), (8, 32, 34),
    (9, 32, 36), (10, 256, 84), (11, 256, 110), (12, 256, 144), (13, 256, 176), (14, 256, 210),
    (15, 256, 292), (16, 256, 66), (17, 256, 74), (18, 256, 98), (19, 256, 50), (20, 32, 18),
    (21, 256, 110), (22, 256, 82), (23, 256, 136), (24, 1, 1), (25, 1, 2), (26, 1, 4), (27, 1, 8),
    (28, 1, 8), (29, 256, 56), (30, 1, 2), (34, 256, 54), (35, 256, 66), (39, 32, 17),
    (40, 64, 36), (41, 128, 18), (42, 64, 18), (NO_TYPE, 1, 1),
];
/// Ends the table.
const NO_TYPE: u64 = u64::MAX;

/// Checks the list. Returns how many bytes the tensors have in all.
pub(super) fn check<R: Read>(
    source: &mut Source<R>,
    count: u64,
    alignment: u64,
) -> Result<u64, String> {
    if count == 0 {
        return Err("it has no tensors: it may be a vocabulary alone".to_owned());
    }
    let mut names = HashSet::new();
    // Where the next tensor begins, and where the latest ends, both from the first's beginning.
    let (mut next, mut end) = (Some(0), 0);
    let mut weight_bytes = 0u64;
    for _ in 0..count {
        let name = source.text("tensor's name")?;
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(format!("a tensor's name has {} bytes", name.len()));
        }
        let bytes = extent(source)?;
        let offset = source.number(8)?;
        if next != Some(offset) {
            return Err("a tensor does not begin where the one before it ends".to_owned());
        }
        if !names.insert(name) {
            return Err("a tensor is there twice".to_owned());
        }
        end = offset.saturating_add(bytes);
        next = end.checked_next_multiple_of(alignment);
        weight_bytes = weight_bytes.saturating_add(bytes);
    }
    let start = source.at.checked_next_multiple_of(alignment);
    if start.and_then(|start| start.checked_add(end)).is_none_or(|end| end > source.file_bytes) {
        return Err("it is cut off: a tensor ends behind its end".to_owned());
    }
    Ok(weight_bytes)
}

/// A tensor's bytes, by its dimensions and type.
fn extent<R: Read>(source: &mut Source<R>) -> Result<u64, String> {
    let dimensions = source.number(4)?;
    if dimensions > DIMENSIONS_MAX {
        return Err(format!("a tensor has {dimensions} dimensions"));
    }
    let mut sizes = [1; DIMENSIONS_MAX as usize];
    for size in sizes.iter_mut().take(dimensions as usize) {
        *size = source.number(8)?;
    }
    let code = source.number(4)?;
    let Some((_, block, block_bytes)) = TYPES.iter().find(|known| known.0 == code) else {
        return Err(format!("a tensor has the type {code}, which is unknown"));
    };
    if sizes.contains(&0) || !sizes[0].is_multiple_of(*block) {
        return Err("a tensor's row is empty, or no whole number of blocks".to_owned());
    }
    let elements = sizes.iter().try_fold(1u64, |product, size| product.checked_mul(*size));
    let bytes = elements.and_then(|elements| (elements / block).checked_mul(*block_bytes));
    // Signed numbers must hold it.
    bytes
        .filter(|bytes| *bytes <= i64::MAX as u64)
        .ok_or_else(|| "a tensor is larger than any file".to_owned())
}

//! PNG without compression: enough to draw a picture and to describe one.

/// The first bytes of a PNG.
const MARK: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Eight bits a channel, RGB, and no compression, filter or interlacing but the only ones.
const PLAIN_RGB: [u8; 5] = [8, 2, 0, 0, 0];
/// A zlib stream of the smallest window.
const ZLIB_HEAD: [u8; 2] = [0x08, 0x1d];
/// Most bytes of a deflate block that is stored as it is.
const STORED_MAX: usize = u16::MAX as usize;

/// Draws a picture, pixel by pixel.
pub(crate) fn draw(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let mut rows = Vec::new();
    for y in 0..height {
        // The row's filter: none.
        rows.push(0);
        rows.extend((0..width).flat_map(|x| pixel(x, y)));
    }
    let mut data = ZLIB_HEAD.to_vec();
    let blocks = rows.chunks(STORED_MAX);
    let last = blocks.len() - 1;
    for (n, block) in blocks.enumerate() {
        let length = block.len() as u16;
        data.push(u8::from(n == last));
        data.extend(length.to_le_bytes());
        data.extend((!length).to_le_bytes());
        data.extend(block);
    }
    data.extend(adler32(&rows).to_be_bytes());
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &PLAIN_RGB].concat();
    let mut png = MARK.to_vec();
    for (kind, data) in [(b"IHDR", &head[..]), (b"IDAT", &data), (b"IEND", &[])] {
        let checked = [&kind[..], data].concat();
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(&checked);
        png.extend(crc32(&checked).to_be_bytes());
    }
    png
}

/// A picture's size and main colours, where this reader can decode it.
pub(crate) fn describe(picture: &[u8]) -> String {
    let Some((width, height, data)) = read(picture) else {
        return format!("a file of {} bytes that is no PNG, or a damaged one", picture.len());
    };
    let size = format!("a PNG of {width} x {height} pixels");
    match pixels(picture, width, &data) {
        Some(rows) => format!("{size}: {}", colours(&rows, width)),
        None => format!("{size}, compressed: its colours are for better eyes"),
    }
}

/// Width, height, and the compressed data; nothing if a checksum is wrong.
fn read(picture: &[u8]) -> Option<(usize, usize, Vec<u8>)> {
    let mut rest = picture.strip_prefix(MARK)?;
    let (mut size, mut data) = (None, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk() {
        let end = u32::from_be_bytes(*length) as usize + 4;
        let (checked, after) = after.split_at_checked(end)?;
        let (sum, after) = after.split_first_chunk()?;
        if u32::from_be_bytes(*sum) != crc32(checked) {
            return None;
        }
        let (kind, content) = checked.split_first_chunk()?;
        match kind {
            b"IHDR" => {
                let (width, more) = content.split_first_chunk()?;
                let (height, _) = more.split_first_chunk()?;
                size = Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)));
            }
            b"IDAT" => data.extend(content),
            _ => {}
        }
        rest = after;
    }
    let (width, height) = size?;
    Some((width as usize, height as usize, data))
}

/// The rows of a picture such as [`draw`] makes.
fn pixels(picture: &[u8], width: usize, data: &[u8]) -> Option<Vec<u8>> {
    // Behind the mark, the chunk's length and kind, width and height.
    let form = picture.get(24..29)?;
    let mut rest = data.get(ZLIB_HEAD.len()..)?;
    let mut rows = Vec::new();
    loop {
        let (&[kind, low, high, _, _], after) = rest.split_first_chunk()?;
        let (block, after) = after.split_at_checked(u16::from_le_bytes([low, high]).into())?;
        rows.extend(block);
        match kind {
            0 => rest = after,
            1 => break,
            _ => return None,
        }
    }
    let unfiltered = rows.chunks(1 + 3 * width).all(|row| row[0] == 0);
    (form == PLAIN_RGB && unfiltered).then_some(rows)
}

const NAMES: [(&str, [u8; 3]); 9] = [
    ("black", [0, 0, 0]),
    ("grey", [128, 128, 128]),
    ("white", [255, 255, 255]),
    ("red", [220, 40, 40]),
    ("orange", [240, 150, 40]),
    ("yellow", [250, 220, 60]),
    ("green", [50, 150, 60]),
    ("blue", [60, 120, 220]),
    ("purple", [140, 60, 170]),
];

/// The three colours that cover most of a picture, by their nearest names.
fn colours(rows: &[u8], width: usize) -> String {
    let mut counts = NAMES.map(|(name, _)| (0, name));
    let pixels = rows.chunks(1 + 3 * width).flat_map(|row| row[1..].chunks_exact(3));
    let mut all = 0;
    for pixel in pixels {
        let distance = |colour: &[u8; 3]| -> u32 {
            pixel.iter().zip(colour).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
        };
        let nearest = (0..NAMES.len()).min_by_key(|n| distance(&NAMES[*n].1)).unwrap_or(0);
        counts[nearest].0 += 1;
        all += 1;
    }
    counts.sort_by(|a, b| b.cmp(a));
    let shown = counts.iter().take(3).filter(|(count, _)| *count > 0);
    let share = |(count, name): &(usize, &str)| format!("{name} {} %", (count * 100) / all);
    shown.map(share).collect::<Vec<_>>().join(", ")
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut sum, byte| {
        sum ^= u32::from(*byte);
        (0..8).for_each(|_| sum = sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 });
        sum
    })
}

fn adler32(bytes: &[u8]) -> u32 {
    let add = |(a, b): (u32, u32), byte: &u8| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    };
    let (a, b) = bytes.iter().fold((1, 0), add);
    b << 16 | a
}

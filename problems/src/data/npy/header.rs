//! The header of a `.npy` file: its checks, and the literal that it holds.

/// The longest header that NumPy itself reads.
pub(super) const LONGEST_HEADER: usize = 10_000;
/// The most brackets of a header, which the parser handles by recursion. A header of plain numbers needs two: for its fields and its shape.
const MOST_BRACKETS: usize = 16;

/// Refuses a header that is longer than the file or made to exhaust the parser.
pub(super) fn check_header(bytes: &[u8]) -> Result<(), String> {
    let field = |width: usize| {
        let length = bytes.get(8..8 + width)?;
        let length = length.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b));
        Some((8 + width, length))
    };
    let wide = bytes.get(6).is_some_and(|&version| version > 1);
    // The parser reports what is missing.
    let Some((from, length)) = field(if wide { 4 } else { 2 }) else {
        return Ok(());
    };
    let left = bytes.len() - from;
    if length > left.min(LONGEST_HEADER) {
        return Err(format!(
            "in its header, at byte 8: it is said to have {length} bytes; expected no more than {}",
            left.min(LONGEST_HEADER)
        ));
    }
    let header = &bytes[from..from + length];
    let opening = |&at: &usize| matches!(header[at], b'(' | b'[' | b'{');
    if let Some(at) = (0..length).filter(opening).nth(MOST_BRACKETS) {
        let at = from + at;
        return Err(format!(
            "in its header, at byte {at}: more than {MOST_BRACKETS} brackets"
        ));
    }
    // The parser multiplies the numbers of the shape unchecked, so the product is checked here; non-decimal numbers would escape the check.
    let other = |pair: &[u8]| {
        pair[0].is_ascii_digit() && (pair[1].is_ascii_alphabetic() || pair[1] == b'_')
    };
    if let Some(at) = header.windows(2).position(other) {
        let at = from + at;
        return Err(format!(
            "in its header, at byte {at}: a number that is not decimal"
        ));
    }
    let numbers = header.split(|b| !b.is_ascii_digit());
    let product = numbers.filter(|n| !n.is_empty()).try_fold(1u64, |all, n| {
        let number: u64 = std::str::from_utf8(n).ok()?.parse().ok()?;
        all.checked_mul(number.max(1))
    });
    match product {
        Some(_) => Ok(()),
        None => Err("in its header: its shape is beyond all files".to_owned()),
    }
}

/// A text of the file in an error: on one line, and not all of it where it is long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 40;
    let start = text.chars().take(LONGEST).map(|c| match c.is_control() {
        true => c.escape_debug().to_string(),
        false => c.to_string(),
    });
    let rest = if text.chars().nth(LONGEST).is_some() {
        "…"
    } else {
        ""
    };
    format!("`{}{rest}`", start.collect::<String>())
}

/// A header: how the entries are stored, and the shape.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    /// NumPy's name of the type, such as `<f8`.
    pub(super) descr: String,
    /// Whether the first index runs fastest.
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
    /// Where the entries begin.
    pub(super) end: usize,
}

/// Reads the literal of a header: a dictionary of a string, a truth value and a tuple of numbers, in any order.
struct Literal<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Literal<'a> {
    /// The next byte that is not blank.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.eat(byte) {
            return Ok(());
        }
        Err(format!("expected `{}`", char::from(byte)))
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let Some(quote @ (b'\'' | b'"')) = self.peek() else {
            return Err("expected a string".to_owned());
        };
        let from = self.at + 1;
        let len = self.text[from..].iter().position(|&b| b == quote);
        let len = len.ok_or("a string without an end")?;
        self.at = from + len + 1;
        std::str::from_utf8(&self.text[from..from + len]).map_err(|e| e.to_string())
    }

    /// A string, or whatever stands between brackets in its place.
    fn descr(&mut self) -> Result<String, String> {
        if self.peek() != Some(b'[') {
            return self.string().map(str::to_owned);
        }
        let from = self.at;
        let mut depth = 0usize;
        for (k, &byte) in self.text[from..].iter().enumerate() {
            depth += usize::from(matches!(byte, b'[' | b'('));
            depth -= usize::from(matches!(byte, b']' | b')'));
            if depth == 0 {
                self.at = from + k + 1;
                return Ok(String::from_utf8_lossy(&self.text[from..self.at]).into_owned());
            }
        }
        Err("a bracket without an end".to_owned())
    }

    fn word(&mut self) -> &'a [u8] {
        self.peek();
        let rest = &self.text[self.at..];
        let len = rest.iter().position(|b| !b.is_ascii_alphanumeric());
        let word = &rest[..len.unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn shape(&mut self) -> Result<Vec<usize>, String> {
        let mut shape = Vec::new();
        self.expect(b'(')?;
        while !self.eat(b')') {
            let from = self.at;
            let number = std::str::from_utf8(self.word()).ok();
            let Some(number) = number.and_then(|n| n.parse().ok()) else {
                self.at = from;
                return Err("expected a number of the shape".to_owned());
            };
            shape.push(number);
            if !self.eat(b',') && self.peek() != Some(b')') {
                return Err("expected `,` or `)`".to_owned());
            }
        }
        Ok(shape)
    }

    fn header(&mut self) -> Result<(String, bool, Vec<usize>), String> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.eat(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            match key {
                "descr" => descr = Some(self.descr()?),
                "shape" => shape = Some(self.shape()?),
                "fortran_order" => {
                    fortran = match self.word() {
                        b"True" => Some(true),
                        b"False" => Some(false),
                        _ => return Err("expected `True` or `False`".to_owned()),
                    }
                }
                other => return Err(format!("a field {} that no array has", shown(other))),
            }
            if !self.eat(b',') && self.peek() != Some(b'}') {
                return Err("expected `,` or `}`".to_owned());
            }
        }
        Ok((
            descr.ok_or("no field `descr`")?,
            fortran.ok_or("no field `fortran_order`")?,
            shape.ok_or("no field `shape`")?,
        ))
    }
}

/// Reads the header, once [`check_header`] has let it pass.
pub(super) fn header(bytes: &[u8]) -> Result<Header, String> {
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err("in its header, at byte 0: not what NumPy begins its files with".to_owned());
    }
    let (from, length) = match bytes {
        [_, _, _, _, _, _, 1, _, a, b, ..] => (10, usize::from(u16::from_le_bytes([*a, *b]))),
        [_, _, _, _, _, _, 2 | 3, _, a, b, c, d, ..] => {
            (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize)
        }
        [_, _, _, _, _, _, version, ..] if !(1..=3).contains(version) => {
            return Err(format!(
                "in its header, at byte 6: version {version}; expected 1, 2 or 3"
            ));
        }
        _ => return Err("in its header: it ends too early".to_owned()),
    };
    let text = bytes.get(from..from + length);
    let text = text.ok_or("in its header: it ends too early")?;
    let mut literal = Literal { text, at: 0 };
    let read = literal.header();
    let (descr, fortran, shape) =
        read.map_err(|e| format!("in its header, at byte {}: {e}", from + literal.at))?;
    Ok(Header {
        descr,
        fortran,
        shape,
        end: from + length,
    })
}

//! Changes to the bytes of a valid file: a function of the seed and the number of the mutation alone.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};

const SEED: u64 = 0x00DA_3A6E;
/// Headers, which say how long the rest is, lie within so many bytes.
const HEADER: usize = 64;
/// Numbers that a text may hold, and that a reader has to look at twice.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999",
    "1e308",
    "1e999",
    "nan",
    "-inf",
    "0.5",
];

/// All mutations of the first of some files of one format; the others are what it is spliced with.
pub(crate) struct Mutations<'a> {
    files: &'a [Vec<u8>],
    seed: u64,
}

impl<'a> Mutations<'a> {
    pub(crate) fn new(name: &str, files: &'a [Vec<u8>]) -> Self {
        let seed = name
            .bytes()
            .fold(SEED, |h, b| h.wrapping_mul(257) + u64::from(b));
        Mutations { files, seed }
    }

    /// One to four changes to one of the files.
    pub(crate) fn get(&self, number: u64) -> Vec<u8> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(number);
        let mut draw = Draw(rng);
        let mut bytes = self.files[draw.below(self.files.len())].clone();
        for _ in 0..=draw.below(4) {
            self.change(&mut bytes, &mut draw);
        }
        bytes
    }

    fn change(&self, bytes: &mut Vec<u8>, draw: &mut Draw) {
        match draw.below(11) {
            0 => {
                if let Some(byte) = draw.place(bytes) {
                    bytes[byte] ^= 1 << draw.below(8);
                }
            }
            1 => draw.run(bytes).fill(0x00),
            2 => draw.run(bytes).fill(0xff),
            3 => {
                let run = draw.run(bytes);
                run.iter_mut().for_each(|b| *b = draw.byte());
            }
            4 => bytes.truncate(draw.below(bytes.len() + 1)),
            5 => {
                let slice = draw.run(bytes).to_vec();
                insert(bytes, draw.below(bytes.len() + 1), &slice);
            }
            6 => {
                let new: Vec<u8> = (0..=draw.below(16)).map(|_| draw.byte()).collect();
                insert(bytes, draw.below(bytes.len() + 1), &new);
            }
            7 => {
                let length = draw.run(bytes).len();
                let at = draw.below(bytes.len() - length + 1);
                bytes.drain(at..at + length);
            }
            8 => integer(bytes, draw),
            9 => number(bytes, draw),
            _ => {
                let other = &self.files[draw.below(self.files.len())];
                bytes.truncate(draw.below(bytes.len() + 1));
                bytes.extend(&other[draw.below(other.len() + 1)..]);
            }
        }
    }
}

/// Overwrites two, four or eight bytes, of the header mostly, by an extreme integer in either order.
fn integer(bytes: &mut [u8], draw: &mut Draw) {
    let width = [2, 4, 8][draw.below(3)];
    let within = [HEADER, HEADER, bytes.len()][draw.below(3)].min(bytes.len());
    let Some(last) = within.checked_sub(width) else {
        return;
    };
    let at = draw.below(last + 1);
    let bits = 8 * width as u32;
    let most = u64::MAX >> (64 - bits);
    let value = [0, 1, most, most >> 1, (most >> 1) + 1, 1 << (bits / 2)][draw.below(6)];
    let mut value = value.to_le_bytes()[..width].to_vec();
    if draw.below(2) == 1 {
        value.reverse();
    }
    bytes[at..at + width].copy_from_slice(&value);
}

/// Replaces a number that is written in digits by another.
fn number(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let Some(from) = draw.place(bytes) else {
        return;
    };
    let digit = |at: &usize| bytes[*at].is_ascii_digit();
    let Some(first) = (from..bytes.len()).find(digit) else {
        return;
    };
    let end = (first..bytes.len()).find(|at| !digit(at));
    let text = NUMBERS[draw.below(NUMBERS.len())];
    bytes.splice(first..end.unwrap_or(bytes.len()), text.bytes());
}

fn insert(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    bytes.splice(at..at, new.iter().copied());
}

struct Draw(ChaCha8Rng);

impl Draw {
    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    fn place(&mut self, bytes: &[u8]) -> Option<usize> {
        (!bytes.is_empty()).then(|| self.below(bytes.len()))
    }

    /// Some neighbouring bytes: few mostly.
    fn run<'b>(&mut self, bytes: &'b mut [u8]) -> &'b mut [u8] {
        let longest = [1, 4, 8, 64][self.below(4)];
        let length = self.below(longest.min(bytes.len()) + 1);
        let at = self.below(bytes.len() - length + 1);
        &mut bytes[at..at + length]
    }
}

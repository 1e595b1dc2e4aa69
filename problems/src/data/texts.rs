//! [`Texts`]: labelled sequences of tokens, such as sentences of words or names of letters.

use bilevel::Error;
use std::collections::{HashMap, HashSet};
use std::io::BufRead;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::samples::{Kind, Sample, Samples};
use super::text::{Labels, content, refusal, unreadable};
use super::{DataError, read_file};
use crate::support::random::permutation;

const FORMAT: &str = "text";
const FEMALE: &str = include_str!("../../assets/names/female.txt");
const MALE: &str = include_str!("../../assets/names/male.txt");

/// Labelled texts: sequences of tokens, each with a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Texts {
    /// All tokens, one text after the other, and where each text begins.
    tokens: Vec<u32>,
    starts: Vec<usize>,
    labels: Vec<u32>,
    classes: usize,
    vocabulary: Arc<Vec<String>>,
}

/// The token for words outside the vocabulary.
const UNKNOWN: &str = "?";

/// Reads `label word word …`, one text per line, words separated by blanks; plain or gzip.
///
/// Returns the words of every line and its class.
///
/// # Errors
/// [`DataError`]: names the line for a label outside the classes, and for a line without words.
pub fn read_sentences(
    path: impl AsRef<Path>,
    labels: Labels,
) -> Result<Vec<(Vec<String>, u32)>, DataError> {
    let path = path.as_ref();
    parse(path, &read_file(path)?, labels)
}

fn parse(path: &Path, bytes: &[u8], kind: Labels) -> Result<Vec<(Vec<String>, u32)>, DataError> {
    let refuse = refusal(path, FORMAT);
    let mut content = content(bytes);
    let mut sentences = Vec::new();
    let mut text = String::new();
    let mut lines = 0;
    for line in 1usize.. {
        text.clear();
        let at_line = |reason: String| refuse(format!("line {line}: {reason}"));
        let read = content.read_line(&mut text);
        if read.map_err(|e| at_line(unreadable(&e)))? == 0 {
            break;
        }
        lines = line;
        let mut words = text.split_ascii_whitespace();
        let Some(label) = words.next() else {
            continue;
        };
        let class = kind.class(label).map_err(at_line)?;
        let words: Vec<String> = words.map(str::to_owned).collect();
        if words.is_empty() {
            return Err(at_line("there are no words behind the label".to_owned()));
        }
        sentences.push((words, class));
    }
    if sentences.is_empty() {
        return Err(refuse(format!("in all {lines} lines: there are no texts")));
    }
    Ok(sentences)
}

/// The vocabulary of sentences: a token for unknown words, then the words that occur at least `least` times, by decreasing frequency and then
/// alphabetically.
#[doc(hidden)]
pub fn vocabulary(sentences: &[(Vec<String>, u32)], least: usize) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in sentences.iter().flat_map(|(words, _)| words) {
        *counts.entry(word).or_default() += 1;
    }
    let mut words: Vec<(&str, usize)> = counts
        .into_iter()
        .filter(|(word, n)| *n >= least && *word != UNKNOWN)
        .collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let known = words.into_iter().map(|(word, _)| word.to_owned());
    std::iter::once(UNKNOWN.to_owned()).chain(known).collect()
}

impl Texts {
    /// Encodes sentences in the tokens of a vocabulary, whose first entry stands for unknown words. Words beyond the first `longest` of a sentence
    /// are dropped.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty vocabulary, no sentences, a `longest` of 0, and labels outside the classes.
    pub fn encode(
        sentences: &[(Vec<String>, u32)],
        vocabulary: Vec<String>,
        classes: usize,
        longest: usize,
    ) -> Result<Self, Error> {
        if vocabulary.is_empty() || sentences.is_empty() || longest == 0 {
            let found = format!(
                "{} words, {} sentences, at most {longest} words of each",
                vocabulary.len(),
                sentences.len()
            );
            return Err(Error::invalid("texts", found, "at least one of each"));
        }
        let places: HashMap<&str, u32> = vocabulary
            .iter()
            .enumerate()
            .map(|(k, word)| (word.as_str(), k as u32))
            .collect();
        let (mut tokens, mut starts) = (Vec::new(), vec![0]);
        for (words, _) in sentences {
            let known = |word: &String| places.get(word.as_str()).copied().unwrap_or(0);
            tokens.extend(words.iter().take(longest).map(known));
            starts.push(tokens.len());
        }
        let labels = sentences.iter().map(|(_, class)| *class).collect();
        let texts = Texts {
            tokens,
            starts,
            labels: vec![0; sentences.len()],
            classes,
            vocabulary: Arc::new(vocabulary),
        };
        texts.with_labels(labels)
    }

    /// The vocabulary: the word or letter of every token.
    pub fn vocabulary(&self) -> &[String] {
        &self.vocabulary
    }

    /// The tokens of the i-th text.
    pub fn tokens(&self, i: usize) -> &[u32] {
        &self.tokens[self.starts[i]..self.starts[i + 1]]
    }

    /// The i-th text, its tokens joined by `between`.
    pub fn text(&self, i: usize, between: &str) -> String {
        let words = self.tokens(i).iter();
        let words: Vec<&str> = words
            .map(|&t| self.vocabulary[t as usize].as_str())
            .collect();
        words.join(between)
    }

    /// The texts at these places, in this order.
    fn select(&self, places: impl Iterator<Item = usize>) -> Self {
        let (mut tokens, mut starts, mut labels) = (Vec::new(), vec![0], Vec::new());
        for i in places {
            tokens.extend_from_slice(self.tokens(i));
            starts.push(tokens.len());
            labels.push(self.labels[i]);
        }
        Texts {
            tokens,
            starts,
            labels,
            classes: self.classes,
            vocabulary: Arc::clone(&self.vocabulary),
        }
    }

    /// The texts of a range; the number of classes stays.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a range that is empty or reaches beyond the last text.
    pub fn rows(&self, range: Range<usize>) -> Result<Self, Error> {
        if range.start < range.end && range.end <= self.len() {
            return Ok(self.select(range));
        }
        Err(Error::invalid(
            "range",
            format!("{range:?}"),
            format!("not empty, and within 0..{}", self.len()),
        ))
    }

    /// The same texts in a random order of this seed.
    pub fn shuffled(&self, seed: u64) -> Self {
        self.select(permutation(self.len(), seed).into_iter())
    }
}

impl Samples for Texts {
    fn labels(&self) -> &[u32] {
        &self.labels
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn kind(&self) -> Kind {
        Kind::Tokens(self.vocabulary.len())
    }

    fn sample(&self, i: usize) -> Sample<'_> {
        Sample::Tokens(self.tokens(i))
    }

    fn with_labels(mut self, labels: Vec<u32>) -> Result<Self, Error> {
        if labels.len() != self.len() {
            return Err(Error::invalid(
                "labels",
                format!("{} labels", labels.len()),
                format!("{}, one a text", self.len()),
            ));
        }
        if let Some(&label) = labels.iter().find(|l| **l as usize >= self.classes) {
            let expected = format!("a class below {}", self.classes);
            return Err(Error::invalid("labels", label, expected));
        }
        self.labels = labels;
        Ok(self)
    }

    fn fingerprint(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        let starts = self.starts.iter().map(|&at| at as u32);
        for number in self
            .tokens
            .iter()
            .chain(&self.labels)
            .copied()
            .chain(starts)
        {
            hasher.update(&number.to_le_bytes());
        }
        hasher.finalize()
    }
}

/// 4,832 first names as sequences of letters: class 0 for names of women, class 1 for names of men. Names of both are left out.
///
/// # Errors
/// None: the names are part of the crate, and a test reads them.
pub fn first_names() -> Result<Texts, Error> {
    let letters: Vec<String> = ('a'..='z').map(String::from).collect();
    let names = [FEMALE, MALE].map(|list| list.lines().collect::<HashSet<&str>>());
    let mut sentences = Vec::new();
    for (class, list) in [FEMALE, MALE].into_iter().enumerate() {
        let own = list.lines().filter(|name| !names[1 - class].contains(name));
        sentences.extend(own.map(|name| {
            let letters = name.chars().map(String::from).collect();
            (letters, class as u32)
        }));
    }
    Texts::encode(&sentences, letters, 2, usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(Vec<String>, u32)>, DataError> {
        let labels = Labels::From { first: 0, count: 2 };
        parse(Path::new("x.txt"), text.as_bytes(), labels)
    }

    #[test]
    fn sentences_become_tokens_of_the_words_that_are_frequent_enough() {
        let sentences = read("1 a fine fine film\n0 a dull film\n\n1 fine\n").unwrap();
        let words = vocabulary(&sentences, 2);
        assert_eq!(words, ["?", "fine", "a", "film"]);
        let texts = Texts::encode(&sentences, words, 2, 3).unwrap();
        assert_eq!((texts.len(), texts.labels()), (3, &[1, 0, 1][..]));
        assert_eq!(texts.tokens(0), [2, 1, 1]);
        assert_eq!(texts.text(1, " "), "a ? film");
        assert_eq!(texts.rows(1..3).unwrap().tokens(1), [1]);
        assert!(texts.rows(2..4).is_err());
        let shuffled = texts.shuffled(1);
        let mut lengths: Vec<usize> = (0..3).map(|i| shuffled.tokens(i).len()).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [1, 3, 3]);
        assert_ne!(texts.fingerprint(), texts.rows(0..2).unwrap().fingerprint());
    }

    #[test]
    fn a_line_that_cannot_be_used_is_named() {
        for (text, reason) in [
            ("1 fine\n2 good\n", "line 2: the label is `2`"),
            ("fine film\n", "line 1: the label is `fine`"),
            ("0 a\n1\n", "line 2: there are no words"),
            ("", "there are no texts"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn the_shipped_names_are_what_they_are_said_to_be() {
        let names = first_names().unwrap();
        assert_eq!((names.len(), names.classes()), (4832, 2));
        assert_eq!(names.labels().iter().filter(|l| **l == 1).count(), 888);
        // Mary, before her, is a name of men too.
        assert_eq!(names.text(0, ""), "linda");
        assert_eq!(names.vocabulary().len(), 26);
    }
}

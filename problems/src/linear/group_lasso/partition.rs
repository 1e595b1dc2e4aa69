//! Groups of features.

use bilevel::Error;

use crate::support::fingerprint::fingerprint;

/// Features divided into groups: each in one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The features, group after group.
    members: Vec<usize>,
    /// Where each group begins, and where the last one ends.
    starts: Vec<usize>,
}

impl Partition {
    /// Groups of the features 0 … `features` − 1, by their places.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a group without a feature, a feature beyond these, one in two groups or twice in one, and one in none.
    pub fn new(features: usize, groups: &[Vec<usize>]) -> Result<Self, Error> {
        let mut group_of = vec![None; features];
        let mut partition = Partition {
            members: Vec::with_capacity(features),
            starts: vec![0],
        };
        for (g, group) in groups.iter().enumerate() {
            let name = || format!("groups[{g}]");
            if group.is_empty() {
                return Err(Error::invalid(name(), "empty", "at least one feature"));
            }
            for &j in group {
                let Some(of) = group_of.get_mut(j) else {
                    let expected = format!("one of {features}, counted from 0");
                    return Err(Error::invalid(name(), format!("feature {j}"), expected));
                };
                if let Some(other) = of.replace(g) {
                    let found = format!("feature {j}, which is in groups[{other}]");
                    return Err(Error::invalid(name(), found, "every feature once"));
                }
            }
            partition.members.extend_from_slice(group);
            partition.starts.push(partition.members.len());
        }
        match group_of.iter().position(Option::is_none) {
            None if features > 0 => Ok(partition),
            None => Err(Error::invalid("groups", "no feature", "at least one")),
            Some(j) => {
                let found = format!("feature {j} in none");
                Err(Error::invalid("groups", found, "every feature in one"))
            }
        }
    }

    /// Groups of features that follow each other, of these sizes.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a size of 0, and none.
    pub fn consecutive(sizes: &[usize]) -> Result<Self, Error> {
        let all = sizes
            .iter()
            .try_fold(0usize, |sum, &size| sum.checked_add(size));
        // Features are counted in 32 bits elsewhere too, and more could not be stored.
        let Some(all) = all.filter(|all| *all <= u32::MAX as usize) else {
            let expected = "sizes that add up to less than 2^32";
            return Err(Error::invalid("groups", "larger ones", expected));
        };
        let mut end = 0;
        let group = |&size: &usize| {
            end += size;
            (end - size..end).collect()
        };
        let groups: Vec<Vec<usize>> = sizes.iter().map(group).collect();
        Self::new(all, &groups)
    }

    /// How many groups there are.
    pub fn groups(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many features there are.
    pub fn features(&self) -> usize {
        self.members.len()
    }

    /// The features of a group.
    ///
    /// # Panics
    /// Where there is no such group.
    pub fn members(&self, group: usize) -> &[usize] {
        &self.members[self.starts[group]..self.starts[group + 1]]
    }

    pub(super) fn fingerprint(&self) -> u32 {
        let numbers = self.members.iter().chain(&self.starts);
        let numbers: Vec<f64> = numbers.map(|&n| n as f64).collect();
        fingerprint(&numbers)
    }
}

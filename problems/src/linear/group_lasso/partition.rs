//! Groups of features.

use bilevel::Error;

use crate::support::fingerprint::fingerprint;

/// Features divided into disjoint groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The features, group after group.
    members: Vec<usize>,
    /// Where each group begins, and where the last one ends.
    starts: Vec<usize>,
}

impl Partition {
    /// Groups of the features 0 … `features` − 1, each a list of feature numbers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty group, and a feature that is out of range, in no group, or listed twice.
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

    /// Groups of consecutive features, of these sizes.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for no sizes, and a size of 0.
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

    /// The number of groups.
    pub fn groups(&self) -> usize {
        self.starts.len() - 1
    }

    /// The number of features.
    pub fn features(&self) -> usize {
        self.members.len()
    }

    /// The features of a group.
    ///
    /// # Panics
    /// If there is no such group.
    pub fn members(&self, group: usize) -> &[usize] {
        &self.members[self.starts[group]..self.starts[group + 1]]
    }

    pub(super) fn fingerprint(&self) -> u32 {
        let numbers = self.members.iter().chain(&self.starts);
        let numbers: Vec<f64> = numbers.map(|&n| n as f64).collect();
        fingerprint(&numbers)
    }
}

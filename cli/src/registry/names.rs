//! Suggestions for mistyped names.

/// A suggestion for an unknown `name`: the nearest of `names`, or `another name` where none is near.
pub(crate) fn nearest(name: &str, names: &[&str]) -> String {
    let near = names
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, known)| *distance <= known.chars().count().div_ceil(2));
    near.map_or("another name".to_owned(), |(_, known)| {
        format!("perhaps `{known}`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_that_could_be_meant() {
        let names = ["penalty", "train", "validation"];
        assert_eq!(nearest("penalties", &names), "perhaps `penalty`");
        assert_eq!(nearest("trian", &names), "perhaps `train`");
        assert_eq!(nearest("colour", &names), "another name");
        assert_eq!(nearest("", &[]), "another name");
    }
}

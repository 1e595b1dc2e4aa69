//! Suggestions for mistyped names.

/// A suggestion for an unknown `name`: the nearest of `names`, or `another name` where none is near.
pub fn nearest(name: &str, names: &[&str]) -> String {
    let near = names
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, known)| *distance <= known.chars().count().div_ceil(2));
    near.map_or("another name".to_owned(), |(_, known)| {
        format!("perhaps `{known}`")
    })
}

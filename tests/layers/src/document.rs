//! Reads layers from a document, so that what people read is what the tests check.

/// Returns the layers that a Markdown document draws below a heading, from the bottom up. They are in the first code block after
/// the heading: one line for each layer, the highest first, with its modules separated by spaces.
///
/// `None` when the document has no such heading, or no code block after it.
#[must_use]
pub fn read_layers<'d>(document: &'d str, heading: &str) -> Option<Vec<Vec<&'d str>>> {
    let lines = document.lines().skip_while(|line| *line != heading);
    let block = lines.skip_while(|line| !line.starts_with("```"));
    let block = block.skip(1).take_while(|line| !line.starts_with("```"));
    let mut layers: Vec<Vec<&str>> = block
        .map(|line| line.split_whitespace().collect())
        .collect();
    layers.reverse();
    (!layers.is_empty()).then_some(layers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str =
        "# One\n\n```\nother\n```\n\n## Two\n\nWords.\n\n```\nhigh\nlow  base\n```\n";

    #[test]
    fn the_block_below_the_heading_is_read_from_the_bottom_up() {
        let layers = read_layers(DOCUMENT, "## Two");
        assert_eq!(layers, Some(vec![vec!["low", "base"], vec!["high"]]));
    }

    #[test]
    fn a_missing_heading_or_block_has_no_layers() {
        assert_eq!(read_layers(DOCUMENT, "## Three"), None);
        assert_eq!(read_layers("## Two\n\nWords.\n", "## Two"), None);
    }
}

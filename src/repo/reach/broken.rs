//! From damage upwards: which objects lead to it. Knows numbers, roles and who names whom.

use super::table::{Marks, mark};

/// A tree object in one of the roles it is named in, by its number and the role's mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// The chunk's number.
    pub number: u32,
    /// What it is named as.
    pub role: u8,
}

/// One object names another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Which is named.
    pub named: Node,
    /// Which names it.
    pub by: Node,
}

/// Marks the `broken` objects and everything that leads to one.
pub fn mark_upwards(marks: &Marks, broken: Vec<Node>, mut edges: Vec<Edge>) {
    edges.sort_unstable();
    let mut rest = broken;
    while let Some(node) = rest.pop() {
        if marks.set(node.number, mark::broken(node.role)) {
            let first = edges.partition_point(|edge| edge.named < node);
            rest.extend(edges[first..].iter().take_while(|edge| edge.named == node).map(|edge| edge.by));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(number: u32) -> Node {
        Node { number, role: mark::DIRECTORY }
    }

    #[test]
    fn everything_above_is_marked_and_nothing_beside() {
        // 0 names 1 and 2, both name 3; 4 names 2 and 5; 6 names 3 as a page.
        let pairs = [(2, 4), (1, 0), (2, 0), (3, 1), (3, 2), (5, 4)];
        let mut edges = pairs.map(|(named, by)| Edge { named: directory(named), by: directory(by) }).to_vec();
        edges.push(Edge { named: Node { number: 3, role: mark::PAGE }, by: directory(6) });
        let marked = |broken: Node| {
            let marks = Marks::new(7);
            mark_upwards(&marks, vec![broken, broken], edges.clone());
            (0..7).filter(|n| marks.of(*n) == mark::broken(mark::DIRECTORY)).collect::<Vec<_>>()
        };
        assert_eq!(marked(directory(3)), [0, 1, 2, 3, 4]);
        assert_eq!(marked(directory(1)), [0, 1]);
        assert_eq!(marked(directory(5)), [4, 5]);
        assert_eq!(marked(directory(0)), [0]);
        assert_eq!(marked(Node { number: 3, role: mark::PAGE }), [6]);
    }
}

//! Chance from a seed: what happens by it happens again with the same one.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough for latency and loss.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// The same seed has the same course.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below the bound; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of the remainder is below 2^-30 for bounds below 2^34.
        self.next() % bound.max(1)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_one_course_and_all_numbers_come_about_equally_often() {
        let course = |seed| {
            let mut chance = Chance::new(seed);
            (0..1000).map(|_| chance.below(10)).collect::<Vec<_>>()
        };
        assert_eq!(course(7), course(7));
        assert_ne!(course(7), course(8));
        for wanted in 0..10 {
            let times = course(7).iter().filter(|n| **n == wanted).count();
            assert!((70..130).contains(&times), "{wanted}: {times}");
        }
        assert_eq!(Chance::new(7).below(0), 0);
    }
}

//! When to build what. Pure: saves and ends of builds in, the next build out.
//!
//! *Invariant:* one build at a time (cargo would serialise them anyway, and the machine plays the
//! game meanwhile); a save during a build is never lost; a burst of saves is one build.

/// Index of a module in the order of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleIndex(pub usize);

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Build this one; [`Rebuilder::finished`] follows.
    Build(ModuleIndex),
    /// Nothing until this time, ms.
    WaitUntil(u64),
    /// Nothing until something happens.
    Idle,
}

/// Keeps what is due.
#[derive(Clone, Debug)]
pub struct Rebuilder {
    /// When each module's last save has been quiet for long enough; none if it has not been saved.
    due: Vec<Option<u64>>,
    quiet_ms: u64,
    building: bool,
}

impl Rebuilder {
    /// For so many modules.
    pub fn new(modules: usize, quiet_ms: u64) -> Self {
        Rebuilder { due: vec![None; modules], quiet_ms, building: false }
    }

    /// A source of a module was saved.
    pub fn saved(&mut self, module: ModuleIndex, now_ms: u64) {
        if let Some(due) = self.due.get_mut(module.0) {
            *due = Some(now_ms + self.quiet_ms);
        }
    }

    /// The build that was asked for has ended, and what came out is live or refused.
    pub fn finished(&mut self) {
        self.building = false;
    }

    /// What to do now.
    pub fn next(&mut self, now_ms: u64) -> Step {
        if self.building {
            return Step::Idle;
        }
        let earliest =
            self.due.iter().enumerate().filter_map(|(module, due)| due.map(|due| (due, module))).min();
        match earliest {
            None => Step::Idle,
            Some((due, _)) if due > now_ms => Step::WaitUntil(due),
            Some((_, module)) => {
                if let Some(due) = self.due.get_mut(module) {
                    *due = None;
                }
                self.building = true;
                Step::Build(ModuleIndex(module))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ModuleIndex = ModuleIndex(0);
    const B: ModuleIndex = ModuleIndex(1);

    #[test]
    fn a_burst_of_saves_is_one_build_after_silence() {
        let mut it = Rebuilder::new(2, 60);
        assert_eq!(it.next(0), Step::Idle);
        it.saved(A, 0);
        it.saved(A, 40);
        assert_eq!(it.next(60), Step::WaitUntil(100));
        assert_eq!(it.next(100), Step::Build(A));
        it.finished();
        assert_eq!(it.next(1000), Step::Idle);
    }

    #[test]
    fn a_save_during_a_build_is_built_after_it() {
        let mut it = Rebuilder::new(2, 60);
        it.saved(A, 0);
        assert_eq!(it.next(60), Step::Build(A));
        it.saved(A, 70);
        assert_eq!(it.next(200), Step::Idle, "one build at a time");
        it.finished();
        assert_eq!(it.next(200), Step::Build(A));
    }

    #[test]
    fn who_was_saved_first_is_built_first_and_nobody_is_forgotten() {
        let mut it = Rebuilder::new(2, 60);
        it.saved(B, 0);
        it.saved(A, 1);
        assert_eq!(it.next(100), Step::Build(B));
        it.finished();
        assert_eq!(it.next(100), Step::Build(A));
    }

    #[test]
    fn a_module_that_does_not_exist_is_ignored() {
        let mut it = Rebuilder::new(1, 60);
        it.saved(ModuleIndex(7), 0);
        assert_eq!(it.next(100), Step::Idle);
    }
}

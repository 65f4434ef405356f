//! What goes wrong, and how often.

use crate::cluster::Cluster;

/// How much goes wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Nothing.
    Calm,
    /// Links are slow, cut, lose, stay half-open.
    Links,
    /// And dispatchers are killed.
    Dispatchers,
    /// And games and gates are paused, for long enough to count as dead, or killed.
    Deaths,
}

impl Level {
    pub(crate) const ALL: [Level; 4] = [Level::Calm, Level::Links, Level::Dispatchers, Level::Deaths];
}

impl Cluster {
    /// Perhaps something goes wrong now.
    pub(crate) fn fault(&mut self) {
        let (at, router) = (self.dice.place(self.places.len()), self.dice.place(self.routers.len()));
        let ms_max = if self.level == Level::Deaths { 4_500 } else { 2_000 };
        match self.dice.roll(2_000) {
            0..16 if self.level >= Level::Links => {
                let lose = !self.dice.once_in(3);
                self.cut(at, router, ms_max, lose);
            }
            16..22 if self.level >= Level::Links => {
                let until_ms = self.now_ms + 1 + self.dice.roll(2_000);
                let link = &mut self.links[at][router];
                if link.up {
                    link.half_open_until_ms = Some(until_ms);
                }
            }
            22..30 if self.level >= Level::Links => {
                let delay_ms_max = [0, 5, 30, 200][self.dice.place(4)];
                self.links[at][router].delay_ms_max = delay_ms_max;
            }
            // A single one may forget whom it has just declared dead, if all who heard of it die too.
            30..36
                if self.level >= Level::Dispatchers
                    && (self.level < Level::Deaths || self.routers.len() > 1) =>
            {
                self.restart_router(router);
            }
            36..40 if self.level >= Level::Links => self.pause(at, 2_000),
            40..42 if self.level >= Level::Deaths => self.pause(at, 8_000),
            42..45 if self.level >= Level::Deaths => {
                let start_at_ms = self.now_ms + self.dice.roll(6_000);
                self.kill(at, start_at_ms);
            }
            45..50 if self.level >= Level::Links => self.hang_up(),
            _ => {}
        }
    }

    /// A process stands still. Whoever does that for long is not heard of: its links are cut.
    fn pause(&mut self, at: usize, ms_max: u64) {
        let ms = self.dice.roll(ms_max);
        let now_ms = self.now_ms;
        let Some(process) = &mut self.places[at].process else { return };
        process.paused_until_ms = now_ms + ms;
        if ms > 3_000 {
            for router in 0..self.routers.len() {
                self.cut(at, router, 1, true);
                self.links[at][router].up_at_ms = now_ms + ms;
            }
        }
    }

    /// Faults are over.
    pub(crate) fn heal(&mut self) {
        let now_ms = self.now_ms;
        self.calm = true;
        for link in self.links.iter_mut().flatten() {
            link.up_at_ms = link.up_at_ms.min(now_ms);
            link.delay_ms_max = 5;
            if let Some(until_ms) = &mut link.half_open_until_ms {
                *until_ms = now_ms;
            }
        }
        for place in &mut self.places {
            place.start_at_ms = place.start_at_ms.min(now_ms);
            if let Some(process) = &mut place.process {
                process.paused_until_ms = now_ms;
            }
        }
    }
}

//! A flock on plain slices: the same source runs in the module and, as its baseline, natively.
//!
//! Birds are sorted into the cells of a grid, so that each looks at the nine around it only.

/// A bird.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bird {
    /// Metres.
    pub x: f32,
    /// Metres.
    pub z: f32,
    /// Degrees clockwise from +z.
    pub yaw: f32,
}

/// All birds, with their grid.
#[derive(Clone, Debug, Default)]
pub struct Flock {
    birds: Vec<Bird>,
    sight: f32,
    field: f32,
}

/// Neighbours that a bird takes into account at most.
const SEEN_MAX: u32 = 16;
/// Degrees that it turns at most in a step.
const TURN_MAX: f32 = 9.0;

impl Flock {
    /// Birds on a square field whose edges are joined.
    pub fn new(birds: Vec<Bird>, sight: f32, field: f32) -> Self {
        Self { birds, sight, field }
    }

    /// The birds, in the order in which they were given.
    pub fn birds(&self) -> &[Bird] {
        &self.birds
    }

    /// Each bird turns towards what its neighbours do, and flies on.
    pub fn step(&mut self, distance: f32) {
        let side = (self.field / self.sight).max(1.0) as usize;
        let cell = |value: f32| ((value / self.sight) as usize).min(side - 1);
        let cells: Vec<usize> = self.birds.iter().map(|bird| cell(bird.z) * side + cell(bird.x)).collect();
        let mut starts = vec![0u32; side * side + 1];
        for cell in &cells {
            starts[cell + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut sorted = vec![Heading::default(); self.birds.len()];
        for (bird, cell) in self.birds.iter().zip(&cells) {
            let (sin, cos) = bird.yaw.to_radians().sin_cos();
            sorted[next[*cell] as usize] = Heading { x: bird.x, z: bird.z, dx: sin, dz: cos };
            next[*cell] += 1;
        }
        for (at, home) in cells.iter().copied().enumerate() {
            let bird = self.birds[at];
            let turned = self.turned(bird, home, side, &starts, &sorted);
            let (sin, cos) = turned.to_radians().sin_cos();
            self.birds[at] = Bird {
                x: (bird.x + sin * distance).rem_euclid(self.field),
                z: (bird.z + cos * distance).rem_euclid(self.field),
                yaw: turned,
            };
        }
    }

    /// Where a bird looks after it has seen its neighbours.
    fn turned(&self, bird: Bird, home: usize, side: usize, starts: &[u32], sorted: &[Heading]) -> f32 {
        let (row, column) = (home / side, home % side);
        let (mut goal_x, mut goal_z, mut seen) = (0.0f32, 0.0f32, 0u32);
        let near = self.sight * self.sight;
        for row in row.saturating_sub(1)..(row + 2).min(side) {
            let first = row * side + column.saturating_sub(1);
            let last = row * side + (column + 1).min(side - 1);
            for other in &sorted[starts[first] as usize..starts[last + 1] as usize] {
                let (dx, dz) = (other.x - bird.x, other.z - bird.z);
                let distance = dx * dx + dz * dz;
                if distance > near || distance == 0.0 || seen == SEEN_MAX {
                    continue;
                }
                // Fly along, close up, but not too close.
                let pull = if distance < near * 0.1 { -2.0 } else { 0.05 };
                goal_x += other.dx + dx * pull;
                goal_z += other.dz + dz * pull;
                seen += 1;
            }
        }
        if seen == 0 {
            return bird.yaw;
        }
        let mut turn = (goal_x.atan2(goal_z).to_degrees() - bird.yaw).rem_euclid(360.0);
        if turn > 180.0 {
            turn -= 360.0;
        }
        (bird.yaw + turn.clamp(-TURN_MAX, TURN_MAX)).rem_euclid(360.0)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Heading {
    x: f32,
    z: f32,
    dx: f32,
    dz: f32,
}

//! Words that break the handler that hears them, to see what else breaks: nothing.

/// Panics on `boom`, never returns on `spin`, takes memory without end on `feast`.
#[expect(clippy::panic, reason = "that is what it is for")]
pub fn hear(text: &str) {
    match text {
        "boom" => panic!("somebody said boom"),
        "spin" => loop {
            std::hint::black_box(text);
        },
        "feast" => {
            let mut eaten = Vec::new();
            loop {
                eaten.push(std::hint::black_box(vec![1_u8; 1 << 20]));
            }
        }
        _ => {}
    }
}

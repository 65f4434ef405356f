//! What authors read when they made a mistake: one sentence for each, in the right place.

#[test]
fn mistakes_are_told_in_one_sentence() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}

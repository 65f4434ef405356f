//! Small types of the vocabulary: times, positions, secrets, caches, raw bytes.

use std::fmt;
use std::ops::{Add, AddAssign, Deref, DerefMut, Mul, Neg, Sub, SubAssign};
use std::time::Duration;

use crate::bindings::everwake::game::types as wit;
use crate::cbor::{self, Malformed, Reader};
use crate::manifest::{Definitions, Shape, parameter};
use crate::value::{Fields, Value};

/// That many milliseconds.
pub const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// That many seconds.
pub const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// That many minutes.
pub const fn mins(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// That many hours.
pub const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3_600)
}

/// That many kibibytes, in bytes.
pub const fn kib(count: u32) -> u32 {
    count * 1_024
}

/// That many mebibytes, in bytes.
pub const fn mib(count: u32) -> u32 {
    count * 1_048_576
}

/// A moment: UTC milliseconds since 1970. Comes from [`Context::now`](crate::Context::now);
/// store it, compare it, add a [`Duration`] to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// How long `earlier` is before this; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(millis(later)))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, later: Duration) {
        *self = *self + later;
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(millis(earlier)))
    }
}

impl Sub for Time {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl Value for Time {
    fn type_text(_: &mut Definitions) -> String {
        "i64".into()
    }
    fn initial() -> Self {
        Self(0)
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        i64::decode(reader).map(Self)
    }
    const MARK_BYTES: Option<usize> = i64::MARK_BYTES;
    #[inline]
    fn mark(&self, out: &mut Vec<u8>) {
        self.0.mark(out);
    }
    #[inline]
    fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
        self.0.strip(marks)
    }
}

/// Three numbers: a place or a direction in metres.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Vec3 {
    pub x: f32,
    pub y: f32,
    pub z: f32,
}

impl Vec3 {
    /// From its parts.
    pub const fn new(x: f32, y: f32, z: f32) -> Self {
        Self { x, y, z }
    }

    /// Its length.
    pub fn length(self) -> f32 {
        (self.x * self.x + self.y * self.y + self.z * self.z).sqrt()
    }

    /// How far it is to another place.
    pub fn distance(self, other: Self) -> f32 {
        (self - other).length()
    }

    /// The same direction with length 1; zero stays zero.
    pub fn unit(self) -> Self {
        let length = self.length();
        if length > 0.0 { self * (1.0 / length) } else { self }
    }

    /// The place at most `step` from here on the straight way to `goal`.
    pub fn towards(self, goal: Self, step: f32) -> Self {
        let way = goal - self;
        let length = way.length();
        if length <= step || length == 0.0 { goal } else { self + way * (step / length) }
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self::new(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl AddAssign for Vec3 {
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self::new(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl SubAssign for Vec3 {
    fn sub_assign(&mut self, o: Self) {
        *self = *self - o;
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, by: f32) -> Self {
        Self::new(self.x * by, self.y * by, self.z * by)
    }
}

impl Neg for Vec3 {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}

fn floats<const N: usize>(definitions: &mut Definitions, name: &str, fields: [&str; N]) -> String {
    definitions.define(name, |_| Shape::Record(fields.iter().map(|f| parameter(f, "f32".into())).collect()))
}

impl Value for Vec3 {
    fn type_text(definitions: &mut Definitions) -> String {
        floats(definitions, "Vec3", ["x", "y", "z"])
    }
    fn initial() -> Self {
        Self::default()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        cbor::array(out, 3);
        [self.x, self.y, self.z].iter().for_each(|part| part.encode(out));
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut fields = Fields::open(reader)?;
        let read = Self { x: fields.take()?, y: fields.take()?, z: fields.take()? };
        fields.close()?;
        Ok(read)
    }
    const MARK_BYTES: Option<usize> = <(f32, f32, f32)>::MARK_BYTES;
    #[inline]
    fn mark(&self, out: &mut Vec<u8>) {
        (self.x, self.y, self.z).mark(out);
    }
    #[inline]
    fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
        (self.x, self.y, self.z).strip(marks)
    }
}

/// Where an entity stands: metres, and degrees clockwise from +z.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Pose {
    pub x: f32,
    pub y: f32,
    pub z: f32,
    pub yaw: f32,
}

impl Pose {
    /// At a place on the ground, facing +z.
    pub const fn at(x: f32, z: f32) -> Self {
        Self { x, y: 0.0, z, yaw: 0.0 }
    }

    /// As poses cross in bulk.
    pub(crate) const fn numbers(self) -> [f32; 4] {
        [self.x, self.y, self.z, self.yaw]
    }

    pub(crate) const fn of_numbers([x, y, z, yaw]: [f32; 4]) -> Self {
        Self { x, y, z, yaw }
    }

    /// The place without the direction.
    pub const fn place(self) -> Vec3 {
        Vec3 { x: self.x, y: self.y, z: self.z }
    }
}

impl From<Vec3> for Pose {
    fn from(at: Vec3) -> Self {
        Self { x: at.x, y: at.y, z: at.z, yaw: 0.0 }
    }
}

impl From<wit::Pose> for Pose {
    fn from(pose: wit::Pose) -> Self {
        Self { x: pose.x, y: pose.y, z: pose.z, yaw: pose.yaw }
    }
}

impl From<Pose> for wit::Pose {
    fn from(pose: Pose) -> Self {
        Self { x: pose.x, y: pose.y, z: pose.z, yaw: pose.yaw }
    }
}

impl Value for Pose {
    fn type_text(definitions: &mut Definitions) -> String {
        floats(definitions, "Pose", ["x", "y", "z", "yaw"])
    }
    fn initial() -> Self {
        Self::default()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        cbor::array(out, 4);
        [self.x, self.y, self.z, self.yaw].iter().for_each(|part| part.encode(out));
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut fields = Fields::open(reader)?;
        let read = Self { x: fields.take()?, y: fields.take()?, z: fields.take()?, yaw: fields.take()? };
        fields.close()?;
        Ok(read)
    }
}

/// A value that is kept out of logs, traces, the console and recordings.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value; the name makes each use easy to find.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<T: Value> Value for Secret<T> {
    const NULLABLE: bool = T::NULLABLE;

    fn type_text(definitions: &mut Definitions) -> String {
        format!("secret<{}>", T::type_text(definitions))
    }
    fn initial() -> Self {
        Self(T::initial())
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        T::decode(reader).map(Self)
    }
}

/// Something that can be computed again: it may vanish between any two events, and is
/// neither stored nor sent. Fill it by [`get_or`](Self::get_or).
#[derive(Clone, Debug)]
pub struct Cache<T>(Option<T>);

impl<T> Cache<T> {
    /// What is cached, computed now if there is nothing.
    pub fn get_or(&mut self, compute: impl FnOnce() -> T) -> &mut T {
        self.0.get_or_insert_with(compute)
    }

    /// What is cached, if it is still there.
    pub fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// Remembers a value.
    pub fn set(&mut self, value: T) {
        self.0 = Some(value);
    }

    /// Forgets the value.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// Two caches are always equal: what they hold is not state.
impl<T> PartialEq for Cache<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A byte string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub Vec<u8>);

impl Deref for Bytes {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Value for Bytes {
    fn type_text(_: &mut Definitions) -> String {
        "bytes".into()
    }
    fn initial() -> Self {
        Self::default()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        cbor::bytes(out, &self.0);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.bytes().map(|bytes| Self(bytes.to_vec()))
    }
}

/// Any one item, as it was encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Any(Vec<u8>);

impl Any {
    /// Wraps a value of any type.
    pub fn of<T: Value>(value: &T) -> Self {
        Self(crate::value::to_bytes(value))
    }

    /// Reads it as a `T`.
    pub fn read<T: Value>(&self) -> Result<T, Malformed> {
        crate::value::from_bytes(&self.0)
    }

    /// Of one item that `write` writes.
    #[doc(hidden)]
    pub fn written(write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut out = Vec::new();
        write(&mut out);
        Self(out)
    }

    /// Reads its one item.
    #[doc(hidden)]
    pub fn read_with<T>(
        &self,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        read(&mut Reader::new(&self.0))
    }
}

impl Default for Any {
    fn default() -> Self {
        Self(vec![cbor::NULL])
    }
}

impl Value for Any {
    const NULLABLE: bool = true;

    fn type_text(_: &mut Definitions) -> String {
        "any".into()
    }
    fn initial() -> Self {
        Self::default()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.item().map(|bytes| Self(bytes.to_vec()))
    }
}

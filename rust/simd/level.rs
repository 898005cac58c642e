//! The instruction sets that kernels are compiled for, and which of them they use.

use std::env;
use std::fmt;
use std::sync::OnceLock;

use crate::error::{Error, Result};

/// The environment variable that names the level to use instead of the fastest; empty is as good as unset.
pub const VARIABLE: &str = "DIFFREC_SIMD";

/// Instructions this processor has; there is no other way to make one than to ask it.
///
/// So whoever holds one may run code compiled for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(Isa);

/// What a [`Level`] stands for. That a value of this type exists says nothing about the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    /// AVX-512F, and all that AVX2 stands for.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// What every processor of the target has.
    Scalar,
}

impl Level {
    /// The levels of this processor, fastest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            if is_x86_feature_detected!("avx512f") {
                levels.push(Self(Isa::Avx512));
            }
            levels.push(Self(Isa::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            levels.push(Self(Isa::Neon));
        }
        levels.push(Self(Isa::Scalar));
        levels
    }

    /// The level that kernels use: the fastest, or the one that the environment asked for at the first call.
    ///
    /// # Errors
    /// [`Error::Level`] if [`VARIABLE`] names none of this processor's.
    pub fn current() -> Result<Self> {
        static CURRENT: OnceLock<Result<Level>> = OnceLock::new();
        CURRENT
            .get_or_init(|| {
                let name = env::var_os(VARIABLE).unwrap_or_default();
                Self::named(&name.to_string_lossy())
            })
            .clone()
    }

    /// The level of this name, or the fastest if it is empty.
    fn named(name: &str) -> Result<Self> {
        let levels = Self::available();
        let found = levels.iter().find(|level| name.is_empty() || level.name() == name);
        found.copied().ok_or_else(|| Error::Level {
            got: name.to_owned(),
            available: levels.iter().map(|level| level.name()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => "neon",
            Isa::Scalar => "scalar",
        }
    }

    /// The instructions, which this processor has.
    pub(crate) fn isa(self) -> Isa {
        self.0
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_go_by_their_names_and_the_fastest_by_none() {
        let levels = Level::available();
        assert_eq!(Level::named(""), Ok(levels[0]));
        for &level in &levels {
            assert_eq!(Level::named(level.name()), Ok(level));
        }
        assert_eq!(levels.last().map(ToString::to_string).as_deref(), Some("scalar"));
    }

    #[test]
    fn what_this_processor_lacks_is_refused_like_what_nobody_has() {
        let other = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
        for name in [other, "sse9", "AVX2", " "] {
            let message = Level::named(name).expect_err(name).to_string();
            assert!(message.contains(&format!("`DIFFREC_SIMD` is \"{name}\"")), "{message}");
            assert!(message.ends_with("scalar"), "{message}");
        }
    }
}

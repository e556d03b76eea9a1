//! Work that is compiled for several processors, and done by the widest instructions of the one at hand.

/// Something to do in vectors.
pub(super) trait Work {
    type Out;

    /// To be marked `#[inline(always)]`, like all that it calls: only so is it compiled for the processor at hand.
    fn run(self) -> Self::Out;
}

/// Does `work` with the widest instructions that the processor has.
pub(super) fn widest<W: Work>(work: W) -> W::Out {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2")]
        fn of_512<W: Work>(work: W) -> W::Out {
            work.run()
        }
        #[target_feature(enable = "avx2")]
        fn of_256<W: Work>(work: W) -> W::Out {
            work.run()
        }
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f")
            && has!("avx512dq")
            && has!("avx512bw")
            && has!("avx512vl")
            && has!("avx2")
        {
            // SAFETY: the processor has the instructions.
            return unsafe { of_512(work) };
        }
        if has!("avx2") {
            // SAFETY: the processor has the instructions.
            return unsafe { of_256(work) };
        }
    }
    work.run()
}

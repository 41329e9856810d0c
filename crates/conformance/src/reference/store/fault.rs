//! What can be wrong with the reference store.

use crate::reference::flaw::Flaw;

/// What can be wrong with this store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What can be wrong with every service.
    Any(Flaw),
    /// A post of a known number replaces the one before.
    Overwrites,
    /// Whether a post is new is decided some time before it is saved.
    DecidesFirst,
    /// Of the addresses of a peer, one is kept.
    OneAddress,
    /// Posts come newest first.
    NewestFirst,
    /// Posts of an unknown topic are an error.
    UnknownIsAnError,
    /// Posts of all topics are told.
    MixesTopics,
    /// The last number is that of the newest post.
    NewestNumber,
    /// Numbers of revoked posts are no last numbers.
    LastOfPosts,
    /// Fails for good after a number that no post has.
    FailsTogether,
    /// Any number is one of a post.
    TakesAnyNumber,
    /// Gaps of one number in holdings are not told.
    ClosesGaps,
    /// Any number of ranges is told.
    AnyNumberOfRanges,
    /// Of too many gaps, the same ones are told each time.
    SameGapsOpen,
    /// What somebody has is sent again.
    SendsAll,
    /// Of what somebody has of a writer, the first range counts.
    FirstRangeCounts,
    /// Of what somebody has of a writer, what is said last counts.
    LastHoldingCounts,
    /// Writers before the first one asked for are told of.
    IgnoresFrom,
    /// Writers after the last one asked for are told of.
    IgnoresTo,
    /// The last writer asked for is left out.
    LeavesOutTo,
    /// That there is more is not told.
    HidesMore,
    /// The first post must fit.
    FirstMustFit,
    /// Posts of revoked writers are saved like others, whatever it says.
    BelievesThieves,
    /// A revoked post is told to be one again and again.
    RevokesAgain,
    /// A revocation counts in the names of all authors.
    AnybodyRevokes,
    /// A revocation counts in all topics.
    RevokesInAllTopics,
    /// The last revocation of a writer counts.
    LastRevocationStays,
    /// An author may revoke any number of writers.
    RevokesAnyNumber,
    /// A revocation is due again and again.
    AlwaysDue,
    /// A revocation that was said once is never due again.
    NeverDueAgain,
    /// Any number of ranges stays good.
    KeepsAnyNumber,
    /// Of too many ranges, the first ones stay good.
    KeepsTheFirst,
    /// What is too old goes at the start, and then never.
    DropsAtTheStart,
    /// A post is as old as its writer says, where that is younger.
    DropsByTheWritersClock,
    /// Numbers below a dropped one are not settled.
    SettlesDroppedAlone,
    /// What is dropped is not told.
    DropsSilently,
    /// Peers are kept and told however long ago they were seen.
    KeepsOldPeers,
    /// Any number of posts is kept.
    AnyNumberOfPosts,
    /// Where a topic has too many posts, any writer loses some.
    DropsOfAnybody,
    /// A revoked writer is believed again once the revocation is dropped.
    BelievesAgain,
    /// Posts came when the store started.
    CameAtTheStart,
    /// Which numbers were dropped is forgotten at the start.
    ForgetsFloors,
    /// What was saved last about a peer counts.
    OlderWins,
    /// Peers come in the order of their ids.
    PeersById,
    /// Several contacts at once replace those from before.
    ForgetsContacts,
    /// The first ban of a peer stays.
    FirstBanStays,
    /// Any number of peers is kept.
    AnyNumberOfPeers,
    /// Any number of contacts is kept.
    AnyNumberOfContacts,
    /// Any number of bans is kept.
    AnyNumberOfBans,
    /// No more bans are kept once there are too many.
    FirstBansStay,
    /// A restart finds no peers, contacts and bans.
    ForgetsPeers,
    /// A restart finds nobody revoked.
    ForgetsRevocations,
    /// A restart finds all posts in the names of their writers.
    ForgetsAuthors,
    /// It ends before all is done that it was asked for.
    LosesAtStop,
    /// One that is started beside another one has a copy of its own.
    HasACopy,
    /// Its files are written when it ends.
    WritesAtTheEnd,
    /// Everybody may read its files.
    OpenToAll,
    /// Events beyond some are not told.
    SwallowsEvents,
    /// A write that changes nothing is not told.
    SwallowsNoOps,
    /// A write that fails is not told.
    FailsSilently,
}

/// Each fault with the clause that it breaks.
pub const FAULTS: [(Fault, &str); 59] = {
    use Fault::*;
    [
        (Overwrites, "a_post_is_saved_once"),
        (DecidesFirst, "a_number_saved_at_once_is_new_once"),
        (OneAddress, "what_is_saved_is_told_as_it_was"),
        (NewestFirst, "posts_are_told_oldest_first"),
        (UnknownIsAnError, "an_unknown_topic_is_empty"),
        (MixesTopics, "topics_are_kept_apart"),
        (NewestNumber, "the_last_number_is_the_writers_highest"),
        (LastOfPosts, "the_last_number_is_the_writers_highest"),
        (FailsTogether, "one_bad_write_fails_alone"),
        (TakesAnyNumber, "one_bad_write_fails_alone"),
        (ClosesGaps, "holdings_are_ranges_with_gaps"),
        (AnyNumberOfRanges, "too_many_ranges_are_joined_in_turn"),
        (SameGapsOpen, "too_many_ranges_are_joined_in_turn"),
        (SendsAll, "posts_beyond_are_those_that_are_missing"),
        (FirstRangeCounts, "posts_beyond_are_those_that_are_missing"),
        (LastHoldingCounts, "posts_beyond_are_those_that_are_missing"),
        (IgnoresFrom, "posts_beyond_are_of_the_writers_asked_for"),
        (IgnoresTo, "posts_beyond_are_of_the_writers_asked_for"),
        (LeavesOutTo, "posts_beyond_are_of_the_writers_asked_for"),
        (HidesMore, "what_does_not_fit_is_more"),
        (FirstMustFit, "the_first_post_always_fits"),
        (BelievesThieves, "a_revoked_writer_is_not_believed"),
        (RevokesAgain, "a_revoked_writer_is_not_believed"),
        (
            AnybodyRevokes,
            "a_revocation_hits_nothing_but_its_own_authors_name",
        ),
        (
            RevokesInAllTopics,
            "a_revocation_hits_nothing_but_its_own_authors_name",
        ),
        (LastRevocationStays, "the_first_revocation_stays"),
        (RevokesAnyNumber, "an_author_revokes_only_so_many"),
        (AlwaysDue, "revocations_are_due_until_said"),
        (NeverDueAgain, "revocations_are_due_until_said"),
        (KeepsAnyNumber, "a_revocation_keeps_the_longest_ranges"),
        (KeepsTheFirst, "a_revocation_keeps_the_longest_ranges"),
        (DropsAtTheStart, "posts_go_some_time_after_they_came"),
        (DropsByTheWritersClock, "posts_go_some_time_after_they_came"),
        (SettlesDroppedAlone, "posts_go_some_time_after_they_came"),
        (DropsSilently, "posts_go_some_time_after_they_came"),
        (KeepsOldPeers, "posts_go_some_time_after_they_came"),
        (BelievesAgain, "posts_go_some_time_after_they_came"),
        (CameAtTheStart, "what_is_too_old_goes_at_the_start"),
        (ForgetsFloors, "what_is_too_old_goes_at_the_start"),
        (
            AnyNumberOfPosts,
            "those_with_the_most_posts_lose_their_first_ones_where_a_topic_has_too_many",
        ),
        (
            DropsOfAnybody,
            "those_with_the_most_posts_lose_their_first_ones_where_a_topic_has_too_many",
        ),
        (OlderWins, "an_older_sight_never_wins"),
        (PeersById, "the_peers_seen_last_come_first"),
        (ForgetsContacts, "contacts_seen_last_come_first"),
        (FirstBanStays, "a_ban_replaces_the_one_before"),
        (AnyNumberOfPeers, "lists_are_bounded"),
        (AnyNumberOfContacts, "lists_are_bounded"),
        (AnyNumberOfBans, "lists_are_bounded"),
        (FirstBansStay, "lists_are_bounded"),
        (ForgetsPeers, "what_was_acknowledged_survives_a_restart"),
        (
            ForgetsRevocations,
            "what_was_acknowledged_survives_a_restart",
        ),
        (ForgetsAuthors, "what_was_acknowledged_survives_a_restart"),
        (LosesAtStop, "what_was_asked_before_stop_is_done"),
        (HasACopy, "a_fresh_store_works_beside_the_one_before"),
        (
            WritesAtTheEnd,
            "a_copy_of_the_files_has_what_was_acknowledged",
        ),
        (OpenToAll, "a_copy_of_the_files_has_what_was_acknowledged"),
        (
            SwallowsEvents,
            "writes_are_told_and_slow_listeners_what_they_missed",
        ),
        (
            SwallowsNoOps,
            "writes_are_told_and_slow_listeners_what_they_missed",
        ),
        (FailsSilently, "a_failed_write_is_told"),
    ]
};

package kv

import (
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

func TestAKeyIsItsLastChange(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	c.must(makeBucket("b", nil))                                     // 1
	equal(t, "first revision", c.revision(put("b", "k", "one")), 2)  //
	equal(t, "second revision", c.revision(put("b", "k", "two")), 3) //
	equal(t, "key", c.get("b", "k"), "k=two@3/2")                    //
	equal(t, "other key", c.get("b", "x"), "not_found")              //
	equal(t, "history", c.history("b", "k"), "… put@3")              //
	deletion, nothing := c.must(remove("b", "k")).GetKeyChanged(), c.must(remove("b", "k")).GetKeyChanged()
	equal(t, "deletion", deletion.Revision, 4)
	equal(t, "deleted revision", deletion.Previous, 3)
	equal(t, "deletion of nothing", nothing.Revision, 0)
	equal(t, "deleted key", c.get("b", "k"), "not_found")
	equal(t, "earlier", c.getAt("b", "k", 3), "compacted 4")
	equal(t, "later", c.getAt("b", "k", 4), "not_found")
	equal(t, "key rows", c.rows(kindKey)+c.rows(kindHistory)+c.rows('t'), 0)
	equal(t, "changes", c.changes(Watched{Bucket: "b"}), "put k=one@2 | put k=two@3 | deleted k@4")
	equal(t, "empty value", c.revision(put("b", "e", "")), 5)
	equal(t, "empty key", c.get("b", "e"), "e=@5/5")
}

func TestHistoryIsKeptAsTheBucketSays(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	c.must(makeBucket("b", &edriv1.BucketConfig{History: 3})) // 1
	for _, v := range []string{"a", "b", "c", "d"} {          // 2-5
		c.must(put("b", "k", v))
	}
	equal(t, "history", c.history("b", "k"), "… put@3 put@4 put@5")
	equal(t, "at 4", c.getAt("b", "k", 4), "k=c@4/2")
	equal(t, "at 2", c.getAt("b", "k", 2), "compacted 3")
	c.must(remove("b", "k")) // 6
	equal(t, "with tombstone", c.history("b", "k"), "… put@4 put@5 deleted@6")
	equal(t, "at 5", c.getAt("b", "k", 5), "k=d@5/2")
	equal(t, "at 6", c.getAt("b", "k", 6), "not_found")
	c.must(put("b", "k", "e")) // 7
	equal(t, "made again", c.history("b", "k"), "… put@5 deleted@6 put@7")
	equal(t, "made again is", c.get("b", "k"), "k=e@7/7")
	equal(t, "timers", c.rows('t'), 0)
	c.must(changeBucket("b", &edriv1.BucketConfig{History: 1})) // 8
	c.must(put("b", "k", "f"))                                  // 9
	equal(t, "less history", c.history("b", "k"), "… put@9")
	equal(t, "rows of history", c.rows(kindHistory), 0)
	equal(t, "at 8", c.getAt("b", "k", 8), "compacted 9")
}

func TestHistoryOfADeletedKeyEnds(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	c.must(makeBucket("b", &edriv1.BucketConfig{History: 5, KeepDeleted: int64(time.Minute)}))
	c.must(put("b", "k", "one")) // 2
	c.must(put("b", "p", "one")) // 3
	c.must(remove("b", "k"))     // 4
	c.pass(time.Minute - 1)
	equal(t, "kept", c.history("b", "k"), "put@2 deleted@4")
	c.pass(1)
	equal(t, "forgotten", c.history("b", "k"), "")
	equal(t, "before", c.getAt("b", "k", 2), "compacted 4")
	equal(t, "purge", c.must(purge("b", "p")).GetKeyChanged().GetRevision(), 5)
	equal(t, "purged", c.history("b", "p")+c.getAt("b", "p", 4), "compacted 5")
	equal(t, "rows", c.rows(kindHistory)+c.rows('t'), 0)
}

func TestConditionsHoldOrNothingHappens(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	c.must(makeBucket("b", nil))      // 1
	c.must(putIf("b", "k", "one", 0)) // 2
	e := c.fails(event.CodeRevisionConflict, putIf("b", "k", "two", 0))
	equal(t, "actual", e.Actual, 2)
	equal(t, "stream", e.Stream, "kv/b")
	c.must(putIf("b", "k", "two", 2)) // 3
	one := uint64(1)
	c.fails(event.CodeRevisionConflict, removeOf(&edriv1.DeleteKey{Bucket: "b", Key: "k", Revision: &one}))
	c.fails(event.CodeRevisionConflict, removeOf(&edriv1.DeleteKey{Bucket: "b", Key: "none", Revision: &one}))
	for _, q := range []*edriv1.CompareKey{atRevision("b", "k", 3), atRevision("b", "x", 0), existing("b", "k", true), existing("b", "x", false), valued("b", "k", "two")} {
		c.must(comparing(q))
	}
	for _, q := range []*edriv1.CompareKey{atRevision("b", "k", 2), atRevision("b", "x", 1), existing("b", "k", false), existing("b", "x", true), valued("b", "k", "one"), valued("b", "x", "")} {
		c.fails(event.CodeRevisionConflict, comparing(q))
	}
	r := c.do(put("b", "other", "v"), comparing(existing("b", "k", false)))
	equal(t, "commit", r.GetError().GetCode(), "check_failed")
	equal(t, "untouched", c.get("b", "other"), "not_found")
	equal(t, "keys", c.bucket("b").Keys, 1)
}

func TestATransactionIsOneChange(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	c.must(makeBucket("a", nil))     // 1
	c.must(makeBucket("b", nil))     // 2
	c.must(put("a", "from", "coin")) // 3
	move := &edriv1.KeyTransaction{
		Compare:   []*edriv1.CompareKey{existing("a", "from", true), existing("b", "to", false)},
		Then:      []*edriv1.KeyOp{inTransaction(remove("a", "from")), inTransaction(put("b", "to", "coin")), getting("b", "to")},
		Otherwise: []*edriv1.KeyOp{getting("a", "from"), getting("b", "to")},
	}
	done := c.must(transact(move)).GetKeyTransactionDone()
	equal(t, "succeeded", done.Succeeded, true)
	equal(t, "moved", c.get("a", "from")+" "+c.get("b", "to"), "not_found to=coin@5/5")
	equal(t, "got", string(done.Results[2].GetEntry().GetValue()), "coin")
	done = c.must(transact(move)).GetKeyTransactionDone()
	equal(t, "again", done.Succeeded, false)
	equal(t, "absent", done.Results[0].GetEntry(), nil)
	equal(t, "present", done.Results[1].GetEntry().GetRevision(), 5)
	equal(t, "changes", c.changes(Watched{Bucket: "b"}), "put to=coin@5")
	e := c.fails(event.CodeNotFound, transact(&edriv1.KeyTransaction{Then: []*edriv1.KeyOp{inTransaction(put("b", "x", "")), inTransaction(put("none", "x", ""))}}))
	if !strings.Contains(e.Message, "then[1]") {
		t.Errorf("error %q does not say where", e.Message)
	}
	equal(t, "half", c.get("b", "x"), "not_found")
	c.must(put("b", "large", strings.Repeat("x", maxGotBytes/2+1)))
	c.fails(event.CodeTooLarge, transact(&edriv1.KeyTransaction{Then: []*edriv1.KeyOp{getting("b", "large"), getting("b", "large")}}))
}

func TestKeysExpireByACommittedChange(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	c.must(makeBucket("b", &edriv1.BucketConfig{Ttl: int64(time.Minute), History: 2})) // 1
	c.must(put("b", "default", "v"))                                                   // 2
	c.must(putFor("b", "short", "v", time.Second))                                     // 3
	c.must(putFor("b", "ever", "v", 0))                                                // 4
	c.must(putFor("b", "renewed", "v", time.Second))                                   // 5
	c.must(putFor("b", "renewed", "w", time.Hour))                                     // 6
	c.now += int64(time.Second)
	equal(t, "due", c.get("b", "short"), "short=v@3/3") // until it is committed
	c.pass(0)
	equal(t, "expired", c.get("b", "short"), "not_found")
	equal(t, "history", c.history("b", "short"), "put@3 expired@7")
	equal(t, "renewed", c.get("b", "renewed"), "renewed=w@6/5")
	c.pass(time.Minute)
	equal(t, "by default", c.get("b", "default"), "not_found")
	c.pass(2 * time.Hour)
	c.pass(24 * time.Hour) // the history of those goes
	equal(t, "ever", c.list("b", "", "", 9), "ever")
	equal(t, "timers", c.rows('t'), 0)
	equal(t, "changes", c.changes(Watched{Bucket: "b", Key: "short"}), "put short=v@3 | expired short@7")
}

func TestABucketThatIsMadeAgainIsEmpty(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	first := c.must(makeBucket("b", &edriv1.BucketConfig{History: 3})).GetBucketChanged()
	c.fails(event.CodeExists, makeBucket("b", nil))
	for range 200 {
		c.must(putFor("b", "k", "v", time.Hour))
	}
	for i := range 300 {
		c.must(putFor("b", strings.Repeat("k", i+2), "v", time.Hour))
	}
	c.must(dropBucket("b"))
	c.fails(event.CodeNotFound, put("b", "k", "v"))
	equal(t, "list", c.list("b", "", "", 9), "not_found")
	second := c.must(makeBucket("b", nil)).GetBucketChanged()
	if !first.Created || !second.Created || first.Id == second.Id {
		t.Errorf("buckets are %v and %v", first, second)
	}
	c.must(put("b", "k", "new"))
	c.pass(0)
	c.pass(2 * time.Hour)
	equal(t, "list", c.list("b", "", "", 9), "k")
	equal(t, "rows", c.rows(kindKey)+c.rows(kindHistory), 1)
	equal(t, "timers", c.rows('t'), 0)
	if changes := c.changes(Watched{Bucket: "b", Key: "nothing"}); !strings.HasPrefix(changes, "gone @") {
		t.Errorf("changes are %q", changes)
	}
}

func TestTheDefaultBucketIsMadeByItsFirstPut(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	equal(t, "empty", c.list(DefaultBucket, "", "", 9)+c.get(DefaultBucket, "k"), "not_found")
	c.must(remove(DefaultBucket, "k"))
	c.must(comparing(existing(DefaultBucket, "k", false)))
	c.fails(event.CodeRevisionConflict, comparing(existing(DefaultBucket, "k", true)))
	equal(t, "first revision", c.revision(put(DefaultBucket, "k", "v")), 2) // behind the bucket's event
	equal(t, "keys", c.list(DefaultBucket, "", "", 9), "k")
	c.fails(event.CodeNotFound, put("other", "k", "v"))
}

func TestABucketHoldsItsLimits(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	c.must(makeBucket("b", &edriv1.BucketConfig{MaxKeys: 2, MaxValueBytes: 3}))
	c.fails(event.CodeTooLarge, put("b", "k", "1234"))
	c.must(put("b", "a", "1"))
	c.must(put("b", "b", "12"))
	c.fails(event.CodeQuotaExceeded, put("b", "c", "1"))
	c.must(put("b", "b", "123"))
	b := c.bucket("b")
	equal(t, "bytes", b.ValueBytes, 4)
	c.must(remove("b", "a"))
	c.must(put("b", "c", "1"))
	equal(t, "list", c.list("b", "", "", 9), "b c")
}

func TestListsGoOnWhereTheyEnded(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	c.must(makeBucket("b", nil))
	for _, k := range []string{"a", "a/1", "a/2", "a/3", "b", "ä"} {
		c.must(put("b", k, k))
	}
	equal(t, "prefix", c.list("b", "a/", "", 9), "a/1 a/2 a/3")
	equal(t, "limit", c.list("b", "a/", "", 2), "a/1 a/2 …")
	equal(t, "next", c.list("b", "a/", "a/2", 2), "a/3")
	equal(t, "after", c.list("b", "", "a/3", 2), "b ä")
	equal(t, "after before the prefix", c.list("b", "b", "a", 2), "b")
	large := strings.Repeat("x", MaxValueBytes)
	c.must(put("b", "c", large))
	c.must(put("b", "d", large))
	equal(t, "large values", c.list("b", "c", "", 9)+c.list("b", "", "b", 9), "cc …")
}

// Whoever takes the ids of our events in advance changes nothing but our ids.
func TestEventsWithTakenIdsAreAppendedNevertheless(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	c.must(makeBucket("b", nil))
	for _, id := range []string{"3", "4", "5", "6"} {
		e := &edriv1.CloudEvent{Id: id, Source: Source, SpecVersion: "1.0", Type: "test"}
		c.must(&edriv1.Op{Op: &edriv1.Op_Append{Append: &edriv1.Append{Stream: "s", Event: e}}})
	}
	c.must(put("b", "k", "v"))
	c.must(put("b", "k", "v"))
	equal(t, "changes", c.changes(Watched{Bucket: "b"}), "put k=v@6 | put k=v@7")
}

func TestLongKeysAreKeysToo(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	key := strings.Repeat("k", MaxKeyBytes)
	c.must(put(DefaultBucket, key, "v"))
	equal(t, "key", c.get(DefaultBucket, key), key+"=v@2/2")
	equal(t, "changes", c.changes(Watched{Bucket: DefaultBucket, Prefix: "kk"}), "put "+key+"=v@2")
}

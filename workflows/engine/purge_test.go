package engine

import (
	"testing"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// purgeable returns the highest revision before which a run's stream may be purged.
func (p *plant) purgeable(id string) (before event.Revision) {
	p.Helper()
	v := p.core.View()
	defer v.Close()
	head, err := v.Stream("run/" + id)
	if err != nil {
		p.Fatalf("stream of %s: %v", id, err)
	}
	for before = 1; before <= head.Revision; before++ {
		if err := p.engine.CheckPurge(v, head.Name, before+1); err != nil {
			equal(p, "code", event.CodeOf(err), event.CodeCheckFailed)
			return before
		}
	}
	return before
}

func TestNoPurgeOfTheHistoryOfAKnownRun(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	first := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	p.mustStep("o-1", ownRecord("step.completed", "1"))
	equal(t, "while it runs", p.purgeable("o-1"), 1)
	p.mustStep("o-1", completeRecord("1"))
	equal(t, "after its end", p.purgeable("o-1"), 1)

	// Of several the one that begins first counts, which may have come last.
	second := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"}) // revision 4
	third := p.must(resetRun("o-1", second, 4)).GetRunStarted().GetNumber()
	p.begin(&edriv1.StartRun{Id: "o-1/x", Type: "order"}) // another's
	equal(t, "with all known", p.purgeable("o-1"), 1)
	p.must(deleteRun("o-1", first))
	equal(t, "with the first forgotten", p.purgeable("o-1"), 4)
	p.must(deleteRun("o-1", second))
	equal(t, "with what was reset forgotten", p.purgeable("o-1"), 4)
	p.must(terminateRun("o-1", ""))
	p.must(deleteRun("o-1", third))
	equal(t, "with all forgotten", p.purgeable("o-1"), 8)

	v := p.core.View()
	defer v.Close()
	for _, stream := range []string{"order/1", "o-1/x", "run", "run/", "kv/default"} {
		if err := p.engine.CheckPurge(v, stream, 2); err != nil {
			t.Errorf("purge of %s: %v", stream, err)
		}
	}
}

func TestRetentionStopsAtTheHistoryOfAKnownRun(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.must(appendEvent("s", cloudEvent("before", "t", "", "")))
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	p.mustStep("o-1", continueRecord(&edriv1.StartRun{}))
	p.must(appendEvent("s", cloudEvent("after", "t", "", ""))) // position 5
	first := func() event.Position {
		p.raw(consensus.RetainCommit(6, 0))
		v := p.core.View()
		defer v.Close()
		return v.Mark.First
	}
	equal(t, "first with both runs of the chain", first(), 2)
	p.must(deleteRun("o-1", number))
	equal(t, "first with the one that runs", first(), 4)
	p.must(terminateRun("o-1", ""))
	p.must(deleteRun("o-1", 0))
	equal(t, "first with none", first(), 6)
}

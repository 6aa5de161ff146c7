package engine

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/internal/wire"
	"github.com/edri-io/edri/workflows"
)

// takeUpdates has a run take updates from one number on, the even ones of which its
// validator refuses, and answer all but the last.
func (p *plant) takeUpdates(id string, from, to int) {
	p.Helper()
	for from < to {
		var records []*edriv1.RunRecord
		entry := p.run(id).Entry
		for n := min(to-from, 400); n > 0; n-- {
			name := fmt.Sprint("u", from)
			p.must(updateRun(id, name, "add", ""))
			entry++
			if from++; from%2 == 0 && from < to {
				records = append(records, rejectRecord(entry, `{"message":"no"}`))
				continue
			}
			records = append(records, entryRecord(entry))
			if from < to {
				records = append(records, finishRecord(name, "1"))
			}
		}
		p.mustStep(id, records...)
	}
}

// A run that has taken all the updates that it may takes no more, and forgets none.
func TestUpdatesAreBounded(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	first := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	p.takeUpdates("o-1", 0, maxUpdates)
	equal(t, "one more", p.code(updateRun("o-1", "more", "add", "")), "quota_exceeded")
	p.must(updateRun("o-1", "u0", "add", "")) // which is known
	equal(t, "the first", p.answerOf(first, "u0"), "1")
	equal(t, "one that was refused", p.answerOf(first, "u1"), `failed {"message":"no"}`)
	p.must(signalRun("o-1", "s", ""))
	p.check1(t)

	p.mustStep("o-1", finishRecord(fmt.Sprint("u", maxUpdates-1), "3"), continueRecord(&edriv1.StartRun{}))
	equal(t, "the last", p.answerOf(first, fmt.Sprint("u", maxUpdates-1)), "3")
	p.takeUpdates("o-1", 0, maxUpdates)
	equal(t, "one more of the next", p.code(updateRun("o-1", "more", "add", "")), "quota_exceeded")
	second := p.run("o-1").Number
	p.must(terminateRun("o-1", ""))
	equal(t, "the open one", p.answerOf(second, fmt.Sprint("u", maxUpdates-1)), `failed {"type":"edri.unhandled","message":"the run ended before it had an answer"}`)
	equal(t, "after the end", p.code(updateRun("o-1", "more", "add", "")), "run_ended")
	p.must(deleteRun("o-1", first))
	p.must(deleteRun("o-1", second))
	equal(t, "rows", p.rows(), "")
}

// What has not been read goes on to the next run, and counts there.
func TestUpdatesThatGoOnCount(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	for i := range maxUpdates {
		p.must(updateRun("o-1", fmt.Sprint("u", i), "add", ""))
	}
	p.mustStep("o-1", entryRecord(1), continueRecord(&edriv1.StartRun{}))
	p.check1(t)
	p.mustStep("o-1", entryRecord(1), entryRecord(2)) // so that there is room in the inbox
	p.must(updateRun("o-1", "one", "add", ""))
	equal(t, "one more", p.code(updateRun("o-1", "more", "add", "")), "quota_exceeded")
	p.must(terminateRun("o-1", ""))
}

func TestAnswersAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	text := `"` + strings.Repeat("x", maxPayload-2) + `"`
	taken := 0
	for ; p.code(updateRun("o-1", fmt.Sprint("u", taken), "add", "")) == ""; taken++ {
		p.mustStep("o-1", entryRecord(uint64(taken)+1), finishRecord(fmt.Sprint("u", taken), text))
	}
	equal(t, "updates", taken, maxAnswerBytes/maxPayload+1)
	equal(t, "one more", p.code(updateRun("o-1", "more", "add", "")), "quota_exceeded")
	p.must(updateRun("o-1", "u0", "add", ""))
	p.mustStep("o-1", completeRecord("1"))
}

// earlierLayout is the row of a run as it was in version 1, before updates were counted, or
// in version 2, before signals that were not received were.
func earlierLayout(r *run, version byte) []byte {
	b := []byte{version, byte(r.status), r.flags}
	numbers := []uint64{
		uint64(r.version), r.advance, r.nonce, r.last, r.read, r.mail, r.mailBytes, r.events,
		uint64(r.started), uint64(r.ended), r.parent, r.seq, r.first, r.next, uint64(r.pin), r.open,
	}
	if version == 2 {
		numbers = append(numbers, r.updates, r.answers)
	}
	for _, v := range append(numbers, uint64(len(r.history))) {
		b = binary.AppendUvarint(b, v)
	}
	for _, h := range r.history {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(h.From)), uint64(h.To-h.From))
	}
	for _, text := range [...][]byte{r.id, r.typ, r.correlation} {
		b = wire.AppendText(b, text)
	}
	return b
}

// Runs whose rows are of the first version go on, and their updates are counted.
func TestUpdatesOfEarlierRunsAreCounted(t *testing.T) {
	t.Parallel()
	p, now := setup(t)
	before := func(id string) {
		v := p.core.View()
		r, err := findRun(v, target{id: []byte(id)})
		v.Close()
		if err != nil {
			t.Fatal(err)
		}
		p.putRow(numberKey(kindRun, r.number), earlierLayout(r, 1))
		p.check1(t)
	}
	p.begin(&edriv1.StartRun{Id: "few", Type: "order"})
	p.takeUpdates("few", 0, 3)
	before("few")
	equal(t, "entries", p.run("few").Unread, 0)
	p.must(signalRun("few", "s", "")) // its row is written anew
	p.mustStep("few", entryRecord(4))
	p.check1(t)
	before("few")
	p.takeUpdates("few", 3, maxUpdates)
	equal(t, "one more", p.code(updateRun("few", "more", "add", "")), "quota_exceeded")

	// One that has more than it may have now.
	p.begin(&edriv1.StartRun{Id: "many", Type: "order"})
	p.takeUpdates("many", 0, maxUpdates)
	row := (&update{done: true, outcome: outcome{result: []byte("7")}}).append(nil)
	p.putRow(updateKey(p.run("many").Number, []byte("earlier")), row)
	before("many")
	equal(t, "one more of many", p.code(updateRun("many", "more", "add", "")), "quota_exceeded")
	p.must(updateRun("many", "earlier", "add", ""))
	equal(t, "an answer", p.answerOf(p.run("many").Number, "earlier"), "7")
	p.mustStep("many", continueRecord(&edriv1.StartRun{}))
	p.must(updateRun("many", "more", "add", ""))

	// Those that have ended, or never had any.
	p.begin(&edriv1.StartRun{Id: "none", Type: "order"})
	before("none")
	p.must(terminateRun("few", ""))
	before("few")
	equal(t, "status", p.run("few").Status, workflows.Terminated)
	p.must(terminateRun("many", ""))
	p.mustStep("none", completeRecord("1"))
	*now += int64(defaultRetention)
	p.ring()
	equal(t, "rows", p.rows(), "")
}

// Runs whose rows are of the second version go on as they are.
func TestRunsOfTheSecondLayoutGoOn(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order", Correlation: "c"})
	p.takeUpdates("o-1", 0, 2)
	p.must(signalRun("o-1", "s", "1"))
	v := p.core.View()
	r, err := findRun(v, target{id: []byte("o-1")})
	v.Close()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%+v", p.run("o-1"))
	p.putRow(numberKey(kindRun, r.number), earlierLayout(r, 2))
	p.check1(t)
	equal(t, "the run", fmt.Sprintf("%+v", p.run("o-1")), want)
	p.mustStep("o-1", entryRecord(3))
	equal(t, "history", p.history("o-1", 0), "started update.accepted update.completed update.accepted signal.received")
}

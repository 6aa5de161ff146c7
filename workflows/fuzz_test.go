package workflows_test

import (
	"testing"

	"github.com/edri-io/edri/workflows"
)

// Whatever a history says, a replay of it ends, and reports an error or none.
func FuzzHistory(f *testing.F) {
	for _, kind := range []string{
		workflows.KindStarted, workflows.KindSignal, workflows.KindUpdate, workflows.KindTimerFired,
		workflows.KindResponse, workflows.KindRequestExpired, workflows.KindEvent, workflows.KindChildCompleted,
		workflows.KindChildFailed, workflows.KindCancelRequested, workflows.KindWorkerLost,
		workflows.KindRetryRequested, workflows.KindStepStarted, workflows.KindStepCompleted,
		workflows.KindStepHeartbeat, workflows.KindStepFailed, workflows.KindVersionMarked, workflows.KindPaused, "unknown",
	} {
		for i := range uint(42) {
			f.Add(i, false, kind, []byte(`{"seq":3,"name":"flaky","attempt":2}`))
			f.Add(i, true, kind, []byte(`{"seq":1000}`))
		}
	}
	f.Fuzz(func(t *testing.T, at uint, insert bool, kind string, data []byte) {
		_, history := readHistory(t, historyFolder+"/all-1.jsonl")
		at %= uint(len(history))
		if insert {
			history = append(history[:at+1], history[at:]...)
		}
		history[at].Type, history[at].Data = workflows.HistoryPrefix+kind, data
		_ = workflows.Check(everything, history)
	})
}

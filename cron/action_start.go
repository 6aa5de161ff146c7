package cron

import (
	"strings"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// Runs is what the machine needs of that of workflows.
type Runs interface {
	// CheckStart checks an edri.v1.StartRun, whose id may be missing.
	CheckStart(body []byte) error
	// StartIn starts a run in the transaction of another machine; id is that of a run whose
	// start has none. number names its chain, 0: a run of the id was under way, and is used.
	// position is that of its first event.
	StartIn(tx *consensus.Tx, body []byte, id string) (number uint64, position event.Position, err error)
	// CancelIn asks the run that a chain has come to to end.
	CancelIn(tx *consensus.Tx, number uint64) error
}

// startAction starts a run of a workflow. Its message is an edri.v1.StartRun.
type startAction struct{ start []byte }

var _ lasting = (*startAction)(nil)

func (a *startAction) kind() actionKind { return actionStart }

func (a *startAction) changes() int { return 1 }

func (a *startAction) decode(body []byte) error {
	a.start = body
	return nil
}

func (a *startAction) check(m *Machine) error {
	switch {
	case m.Runs == nil:
		return invalid("action: workflows are not served here")
	case len(a.start) > maxActionBytes:
		return event.TooLarge("action: its start in bytes", int64(len(a.start)), maxActionBytes)
	}
	err := m.Runs.CheckStart(a.start)
	if refused, ok := err.(*event.Error); ok {
		within := *refused
		within.Message = "action: start: " + strings.TrimSpace(refused.Message)
		return &within
	}
	return err
}

// reasonUnderWay is why no run was started where one of the id is used.
const reasonUnderWay = "a run of the id is under way"

func (a *startAction) do(m *Machine, tx *consensus.Tx, s *schedule, f fire) (done, error) {
	number, position, err := m.Runs.StartIn(tx, a.start, runID(string(s.name), f))
	if err != nil {
		return done{}, err
	}
	if number == 0 {
		return done{reason: reasonUnderWay}, nil
	}
	return done{position: position, number: number}, nil
}

// maxRunName is how much of a schedule's name is in the ids of its runs.
const maxRunName = 100

// runID is the id of the run of a fire whose action gives none: like that of an event, no
// two are the same, ever.
func runID(schedule string, f fire) string {
	if len(schedule) > maxRunName {
		schedule = strings.ToValidUTF8(schedule[:maxRunName], "")
	}
	return schedule + "/" + f.id()
}

func (a *startAction) cancel(m *Machine, tx *consensus.Tx, number uint64) error {
	return m.Runs.CancelIn(tx, number)
}

// RunEnded is called in apply, with this machine's table, when a run has ended that no
// other continues; number is that of the first of its chain.
func (m *Machine) RunEnded(tx *consensus.Tx, number uint64) error {
	return m.ended(tx, run{actionStart, number})
}

package consensus

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// alarms are what a person must look at, by subject. An alarm is logged when it
// begins and when it ends; as long as it holds it stands in the node's status.
type alarms struct {
	logger *slog.Logger

	mu     sync.Mutex
	active map[string]string // what is wrong, by subject
}

func newAlarms(logger *slog.Logger) *alarms {
	return &alarms{logger: logger, active: map[string]string{}}
}

// raise begins an alarm, or brings what it says up to date.
func (a *alarms) raise(subject, what string) {
	a.mu.Lock()
	_, holds := a.active[subject]
	a.active[subject] = what
	a.mu.Unlock()
	if !holds {
		a.logger.Error("alarm", "subject", subject, "alarm", what)
	}
}

// Alarm tells people, by log and status, that something is wrong with a subject, or brings
// what it says up to date.
func (n *Node) Alarm(subject, what string) { n.alarms.raise(subject, what) }

// ClearAlarm ends what Alarm began.
func (n *Node) ClearAlarm(subject string) { n.alarms.clear(subject) }

// ClearAlarms ends the alarms whose subjects begin with kind and are not in keep.
func (n *Node) ClearAlarms(kind string, keep []string) { n.alarms.clearOthers(kind, keep) }

// clear ends an alarm, if it holds.
func (a *alarms) clear(subject string) {
	a.mu.Lock()
	_, held := a.active[subject]
	delete(a.active, subject)
	a.mu.Unlock()
	if held {
		a.logger.Info("alarm is over", "subject", subject)
	}
}

// clearOthers ends the alarms of a kind whose subject is not among those given.
func (a *alarms) clearOthers(kind string, keep []string) {
	a.mu.Lock()
	var over []string
	for subject := range a.active {
		if strings.HasPrefix(subject, kind) && !slices.Contains(keep, subject) {
			over = append(over, subject)
		}
	}
	a.mu.Unlock()
	for _, subject := range over {
		a.clear(subject)
	}
}

// list returns what is wrong, in the order of the subjects.
func (a *alarms) list() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	subjects := make([]string, 0, len(a.active))
	for subject := range a.active {
		subjects = append(subjects, subject)
	}
	slices.Sort(subjects)
	for i, subject := range subjects {
		subjects[i] = a.active[subject]
	}
	return subjects
}

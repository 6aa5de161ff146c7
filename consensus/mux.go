package consensus

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edri-io/edri/event"
)

// StateMachine executes some operations of commits, in the transaction of the
// whole commit and with rows of its own.
type StateMachine interface {
	// Name names the machine and its table in the state: lower-case letters,
	// not one of the core's own tables. It never changes.
	Name() string
	// Ops returns the first and the last number of its operations, which are
	// fields of edri.v1.Op within 16-99.
	Ops() (first, last uint32)
	// Check validates an operation where it enters the cluster. It is called by
	// any goroutine and sees no state. Its errors are *event.Error.
	// What only the machine itself proposes, see Node.Propose, it refuses.
	Check(op uint32, body []byte) error
	// Apply executes an operation and returns the bytes of its edri.v1.OpResult,
	// without `error`. It is as pure as apply itself: it decides from its
	// arguments alone. An *event.Error fails the operation, whose changes are
	// dropped; any other error stops the node. It must not keep tx or body.
	Apply(tx *Tx, op uint32, body []byte) ([]byte, error)
}

// Weigher is a StateMachine some of whose operations do the work of many.
type Weigher interface {
	StateMachine
	// Weight returns as how many operations one counts where a commit enters the cluster,
	// by its size alone: it is called before Check, with what may be malformed.
	Weight(op uint32, body []byte) int
}

// Solitary is a StateMachine some of whose operations may not share a commit's fate.
type Solitary interface {
	StateMachine
	// Alone returns why an operation may not be in a commit with others, unless each of
	// them is for itself; nil: it may. It is called after Check, where a commit enters the
	// cluster: apply executes what older entries hold.
	Alone(op uint32, body []byte) *event.Error
}

// Mux finds the state machine of an operation. It never changes once made.
type Mux struct {
	machines  []StateMachine // by their operations
	observers map[string]int // which of them are, by name
}

// NewMux returns a mux of machines whose names and operations must not overlap.
func NewMux(machines ...StateMachine) (*Mux, error) {
	m := &Mux{machines: slices.Clone(machines), observers: map[string]int{}}
	slices.SortStableFunc(m.machines, func(a, b StateMachine) int {
		first, _ := a.Ops()
		other, _ := b.Ops()
		return int(first) - int(other)
	})
	names := map[string]bool{}
	for _, name := range coreTables {
		names[name] = true
	}
	free := uint32(opMachineFirst)
	for i, machine := range m.machines {
		name := machine.Name()
		first, last := machine.Ops()
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") != "" || names[name] {
			return nil, fmt.Errorf("state machine %q: name is taken or not lower-case letters", name)
		}
		if first < free || last < first || last > opMachineLast {
			return nil, fmt.Errorf("state machine %q: operations %d-%d are taken or not within %d-%d", name, first, last, opMachineFirst, opMachineLast)
		}
		names[name] = true
		free = last + 1
		if _, ok := machine.(Observer); ok {
			m.observers[name] = i
		}
	}
	return m, nil
}

// With returns a mux of the machines of m and more.
func (m *Mux) With(more ...StateMachine) (*Mux, error) {
	return NewMux(slices.Concat(m.machines, more)...)
}

// find returns the machine that executes an operation, nil if there is none.
func (m *Mux) find(number uint32) StateMachine {
	if m == nil {
		return nil
	}
	for _, machine := range m.machines {
		if first, last := machine.Ops(); first <= number && number <= last {
			return machine
		}
	}
	return nil
}

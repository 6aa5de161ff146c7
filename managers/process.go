package managers

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/edri-io/edri/event"
)

// Bounds and defaults of a Process.
const (
	DefaultHelloTimeout = 10 * time.Second
	DefaultStopGrace    = 5 * time.Second

	maxInstances = 256
	maxWait      = 10 * time.Minute
)

// Process is a worker that is a program of any language, which speaks the protocol of
// docs/worker-protocol.md on its standard input and output.
type Process struct {
	// Command is the program and its arguments; without a slash the program is
	// looked for in PATH.
	Command []string
	// Env has NAME=VALUE, added to the environment of this process.
	Env []string
	// Dir is the working folder; default that of this process.
	Dir string
	// Instances is how many processes run; default 1, at most 256.
	Instances int
	// Concurrency is how many events a process has at a time at most; 0: as many as
	// its hello says it takes.
	Concurrency int
	// HelloTimeout is how long a process may take to say hello; default 10 s.
	HelloTimeout time.Duration
	// StopGrace is how long a process may take to end after it was asked to, and
	// again after SIGTERM, before its whole group gets SIGKILL; default 5 s.
	StopGrace time.Duration
}

// processRoute is a process and what it handles.
type processRoute struct {
	process Process
	types   []string // none: what nothing else handles
}

// HandleProcess makes a process the manager's handler of events of some types; without
// types, of all that have no other handler. It is called before Run, which returns what
// was wrong.
func (m *Manager) HandleProcess(p Process, types ...string) {
	p, err := p.normalised()
	if err != nil {
		m.note(err)
		return
	}
	if _, all := m.types(); all && len(types) == 0 {
		m.note(event.Errorf(event.CodeInvalid, "two processes are to handle all other types"))
		return
	}
	route := processRoute{process: p}
	for _, typ := range types {
		if slices.Contains(route.types, typ) || !m.claim(typ) {
			m.note(event.Errorf(event.CodeInvalid, "type %q has two handlers", typ))
			return
		}
		route.types = append(route.types, typ)
	}
	m.processes = append(m.processes, route)
}

// NewProcessWorker returns a manager all of whose events a process handles: those that
// Config.Subscription.Filter selects.
func NewProcessWorker(name string, cfg Config, p Process) (*Manager, error) {
	m, err := New(name, cfg)
	if err != nil {
		return nil, err
	}
	m.HandleProcess(p)
	return m, m.err
}

func (p Process) normalised() (Process, error) {
	if p.Instances == 0 {
		p.Instances = 1
	}
	if p.HelloTimeout == 0 {
		p.HelloTimeout = DefaultHelloTimeout
	}
	if p.StopGrace == 0 {
		p.StopGrace = DefaultStopGrace
	}
	switch {
	case len(p.Command) == 0 || p.Command[0] == "":
		return p, event.Errorf(event.CodeInvalid, "process without a command")
	case p.Instances < 0 || p.Instances > maxInstances:
		return p, event.Errorf(event.CodeInvalid, "instances %d is not within 1 and %d", p.Instances, maxInstances)
	case p.Concurrency < 0 || p.Concurrency > maxConcurrency:
		return p, event.Errorf(event.CodeInvalid, "concurrency %d of a process is not within 0 and %d", p.Concurrency, maxConcurrency)
	case p.HelloTimeout < 0 || p.HelloTimeout > maxWait:
		return p, event.Errorf(event.CodeInvalid, "hello timeout %v is not within 0 and %v", p.HelloTimeout, maxWait)
	case p.StopGrace < 0 || p.StopGrace > maxWait:
		return p, event.Errorf(event.CodeInvalid, "stop grace %v is not within 0 and %v", p.StopGrace, maxWait)
	}
	for _, v := range slices.Concat(p.Command, p.Env, []string{p.Dir}) {
		if strings.ContainsRune(v, 0) {
			return p, event.Errorf(event.CodeInvalid, "%q: has a zero byte", v)
		}
	}
	for _, v := range p.Env {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" {
			return p, event.Errorf(event.CodeInvalid, "environment %q: is not NAME=VALUE", v)
		}
	}
	return p, nil
}

// name is how the process is called in logs.
func (p *Process) name() string { return filepath.Base(p.Command[0]) }

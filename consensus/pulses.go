package consensus

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

const (
	pulseInterval = time.Second
	// A member that has told nothing for this long is not counted on.
	pulseFresh = 5 * time.Second
)

// reports are what the other members told last.
type reports struct {
	mu       sync.Mutex
	byMember map[raft.ServerID]*report
	news     chan struct{} // closed when a report comes, and replaced
}

// report is the last pulse of one member. Its times are of this node's monotonic
// clock, which no correction of the clock touches.
type report struct {
	pulse
	at      time.Time // when it came; zero: never
	clockAt time.Time // when its clock was last read well enough; zero: never
	anchor  int64     // its clock then, less this node's monotonic one: see clocks
	asked   time.Time // when the request that is under way was sent; zero: none is

	checkpoints []Checkpoint // that it told, oldest first; replaced, never changed
}

func newReports() *reports {
	return &reports{byMember: map[raft.ServerID]*report{}, news: make(chan struct{})}
}

// keep forgets who is no member any more and returns those to be asked now: a
// member that owes an answer is not asked again.
func (b *reports) keep(servers []raft.Server, self raft.ServerID, now time.Time) []raft.ServerID {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.byMember
	b.byMember = make(map[raft.ServerID]*report, len(servers))
	var ask []raft.ServerID
	for _, s := range servers {
		if s.ID == self {
			continue
		}
		r := known[s.ID]
		if r == nil {
			r = &report{}
		}
		b.byMember[s.ID] = r
		if r.asked.IsZero() {
			r.asked = now
			ask = append(ask, s.ID)
		}
	}
	return ask
}

// take takes in what a member answered, if it did. A member that was removed
// meanwhile is not listened to.
func (b *reports) take(member raft.ServerID, update func(r *report)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.byMember[member]
	if r == nil {
		return
	}
	r.asked = time.Time{}
	if update == nil {
		return
	}
	update(r)
	close(b.news)
	b.news = make(chan struct{})
}

// tell takes in the checkpoint that a member told without being asked.
func (b *reports) tell(member raft.ServerID, told Checkpoint) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.byMember[member]
	if r == nil || slices.Contains(r.checkpoints, told) {
		return
	}
	r.checkpoints = addCheckpoint(r.checkpoints, told)
	close(b.news)
	b.news = make(chan struct{})
}

// all returns copies of the reports.
func (b *reports) all() map[raft.ServerID]report {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make(map[raft.ServerID]report, len(b.byMember))
	for id, r := range b.byMember {
		list[id] = *r
	}
	return list
}

// watch returns a channel that is closed when the next report comes.
func (b *reports) watch() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.news
}

// pulseLoop asks the other members how they are, and draws the conclusions. What
// a conclusion needs is computed here, a few times a second; the paths of commits
// and reads only load the result.
func (n *Node) pulseLoop() {
	defer n.tasks.Done()
	ticker := time.NewTicker(pulseInterval)
	defer ticker.Stop()
	for {
		news := n.reports.watch()
		select {
		case <-ticker.C:
			n.beat()
		case <-n.pulseNow:
			n.beat()
		case <-news:
		case <-n.closing:
			return
		}
		n.judge()
	}
}

// beat asks everybody.
func (n *Node) beat() {
	n.measureDisk()
	r := n.raft.Load()
	if r == nil {
		return
	}
	servers := r.GetConfiguration().Configuration().Servers
	for _, member := range n.reports.keep(servers, n.serverID, time.Now()) {
		n.askPulse(member)
	}
}

// judge draws the conclusions from what the members told.
func (n *Node) judge() {
	r := n.raft.Load()
	if r == nil {
		return
	}
	servers := r.GetConfiguration().Configuration().Servers
	reports := n.reports.all()
	n.judgeClocks(servers, reports)
	n.judgeSpace(servers, reports)
	n.judgeFeature(servers, reports)
	n.judgeHashes(servers, reports)
	n.judgeReplication(r, servers)
}

// askPulse asks one member. Half of the time until the answer is taken as its way
// back; the other node's clock is known that well.
func (n *Node) askPulse(member raft.ServerID) {
	sent := time.Now()
	n.peers.Go(member, kindPulse, nil, func(reply []byte, err error) {
		if err != nil {
			n.reports.take(member, nil) // it is down, or the way to it
			return
		}
		took := time.Since(sent)
		p, err := parsePulseReply(reply)
		if err != nil || p.serverID != string(member) {
			n.logger.Debug("pulse cannot be used", "member", member, "answered_as", p.serverID, "error", err)
			n.reports.take(member, nil)
			return
		}
		n.reports.take(member, func(r *report) {
			r.pulse, r.at = p, time.Now()
			r.checkpoints = addCheckpoint(r.checkpoints, p.checkpoint)
			if took <= maxClockError*2 {
				r.clockAt, r.anchor = r.at, p.clock+int64(took/2)-n.clocks.elapsed()
			}
		})
	})
}

// servePulse answers another node, which may tell of itself as it asks. It must
// not wait for anything.
func (n *Node) servePulse(payload []byte, reply func([]byte)) {
	if len(payload) > 0 {
		if told, err := decodePulse(payload); err != nil {
			n.logger.Debug("pulse that was told cannot be used", "error", err)
		} else {
			n.reports.tell(raft.ServerID(told.serverID), told.checkpoint)
		}
	}
	p := n.pulse()
	reply(p.append([]byte{replyOK}))
}

// pulse returns what this node tells of itself.
func (n *Node) pulse() pulse {
	return pulse{
		serverID: string(n.serverID),
		clock:    n.clocks.own().UnixNano(),
		stalled:  n.log.Stalled() > stalledAfter,
		disk:     *n.disk.Load(),
		feature:  n.cfg.FeatureLevel,

		checkpoint: n.core.Load().Meta().Checkpoint,
	}
}

// stalledAfter is how long a write of the raft log takes before the node says
// that it is stalled.
const stalledAfter = time.Second

func parsePulseReply(b []byte) (pulse, error) {
	if len(b) == 0 {
		return pulse{}, errBadReply
	}
	if b[0] == replyError {
		refused, err := event.DecodeError(b[1:])
		if err != nil {
			return pulse{}, errBadReply
		}
		return pulse{}, refused
	}
	return decodePulse(b[1:])
}

// pulseSoon wakes the exchange before its time; it never waits.
func (n *Node) pulseSoon() {
	select {
	case n.pulseNow <- struct{}{}:
	default:
	}
}

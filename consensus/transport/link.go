package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// ErrNotSent means that a request did not leave this node, so that the peer
// certainly did nothing. Any other error leaves that open.
var ErrNotSent = errors.New("request was not sent")

// errLost means that the connection ended before the answer came.
var errLost = errors.New("the connection ended before the answer came")

const (
	// What may wait to be written to one peer; more is not sent.
	maxQueuedRequestBytes = 64 << 20
	// A peer that owes an answer for this long loses the connection.
	replyTimeout = 15 * time.Second
	sweepPeriod  = time.Second
)

// Go sends a request to a peer, in order with those that were sent to it before.
// done is called once, with the answer, or with an error that wraps ErrNotSent
// when the request certainly did not leave this node. It must not block.
func (p *Port) Go(peer raft.ServerID, kind byte, payload []byte, done func(answer []byte, err error)) {
	l := p.link(peer)
	if l == nil {
		done(nil, fmt.Errorf("%w: the node is stopping", ErrNotSent))
		return
	}
	l.send(&request{kind: kind, payload: payload, done: done})
}

// link returns the connection to a peer, nil once the port is closed.
func (p *Port) link(peer raft.ServerID) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.links == nil {
		return nil
	}
	l := p.links[peer]
	if l == nil {
		l = &link{port: p, peer: peer, wake: make(chan struct{}, 1), pending: map[uint64]*request{}}
		p.links[peer] = l
		l.running.Add(1)
		go l.run()
	}
	return l
}

type request struct {
	kind    byte
	payload []byte
	done    func([]byte, error)
	sent    time.Time
}

// link carries the requests to one peer over one connection, which it makes when
// it is needed. One goroutine writes, one per connection reads.
type link struct {
	port    *Port
	peer    raft.ServerID
	wake    chan struct{} // capacity 1
	running sync.WaitGroup

	mu      sync.Mutex
	queue   []*request // not handed to the connection yet
	bytes   int
	nextID  uint64
	pending map[uint64]*request // sent, perhaps only in part
	conn    net.Conn
	closed  bool
}

func (l *link) send(r *request) {
	l.mu.Lock()
	full := l.closed || len(l.queue) > 0 && l.bytes+len(r.payload) > maxQueuedRequestBytes
	if !full {
		l.queue = append(l.queue, r)
		l.bytes += len(r.payload)
	}
	l.mu.Unlock()
	if full {
		r.done(nil, fmt.Errorf("%w: too much waits for %s", ErrNotSent, l.peer))
		return
	}
	l.signal()
}

func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// close ends the connection; what was not sent is answered as such.
func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
	l.running.Wait()
	l.failQueued(errors.New("the node is stopping"))
	l.lose(conn, errLost)
}

func (l *link) run() {
	defer l.running.Done()
	sweep := time.NewTicker(sweepPeriod)
	defer sweep.Stop()
	var w *bufio.Writer
	for {
		select {
		case <-l.wake:
		case now := <-sweep.C:
			l.dropSilent(now)
			continue
		case <-l.port.stop:
			return
		}
		conn, fresh, err := l.connection()
		if err != nil {
			l.failQueued(err)
			continue
		}
		if fresh {
			w = bufio.NewWriterSize(conn, 64<<10)
		}
		if err := writeFrames(conn, w, l.take(conn)); err != nil {
			l.lose(conn, err)
		}
	}
}

// connection returns the open connection, or a fresh one.
func (l *link) connection() (conn net.Conn, fresh bool, err error) {
	l.mu.Lock()
	conn = l.conn
	l.mu.Unlock()
	if conn != nil {
		return conn, false, nil
	}
	address, err := l.port.ServerAddr(l.peer)
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout) // the link's own life
	defer cancel()
	if conn, err = l.port.dial(ctx, string(address), forForward); err != nil {
		return nil, false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, false, errors.Join(net.ErrClosed, conn.Close())
	}
	l.conn = conn
	l.running.Add(1)
	go l.read(conn)
	return conn, true, nil
}

// take moves what is queued to pending. From here on it counts as sent. It takes
// nothing when the connection was lost in the meantime.
func (l *link) take(conn net.Conn) []frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != conn {
		l.signal()
		return nil
	}
	frames := make([]frame, 0, len(l.queue))
	now := time.Now()
	for _, r := range l.queue {
		l.nextID++
		r.sent = now
		l.pending[l.nextID] = r
		frames = append(frames, frame{id: l.nextID, kind: r.kind, payload: r.payload})
		r.payload = nil
	}
	l.queue, l.bytes = nil, 0
	return frames
}

func (l *link) read(conn net.Conn) {
	defer l.running.Done()
	r := bufio.NewReaderSize(conn, 64<<10)
	for {
		f, err := readFrame(r)
		if err != nil {
			l.lose(conn, err)
			return
		}
		l.mu.Lock()
		req := l.pending[f.id]
		delete(l.pending, f.id)
		l.mu.Unlock()
		if req != nil {
			req.done(f.payload, nil)
		}
	}
}

// lose gives a connection up: what was sent over it has no answer.
func (l *link) lose(conn net.Conn, why error) {
	if conn == nil {
		return
	}
	_ = conn.Close()
	l.mu.Lock()
	var lost map[uint64]*request
	if l.conn == conn {
		l.conn = nil
		lost, l.pending = l.pending, map[uint64]*request{}
	}
	l.mu.Unlock()
	for _, r := range lost {
		r.done(nil, fmt.Errorf("%w: %v", errLost, why))
	}
}

// failQueued answers what was not sent.
func (l *link) failQueued(why error) {
	l.mu.Lock()
	queue := l.queue
	l.queue, l.bytes = nil, 0
	l.mu.Unlock()
	for _, r := range queue {
		r.done(nil, fmt.Errorf("%w: %v", ErrNotSent, why))
	}
}

// dropSilent gives up a connection whose peer owes an answer for too long.
func (l *link) dropSilent(now time.Time) {
	l.mu.Lock()
	conn, silent := l.conn, false
	for _, r := range l.pending {
		silent = silent || now.Sub(r.sent) > replyTimeout
	}
	l.mu.Unlock()
	if silent {
		l.lose(conn, fmt.Errorf("no answer for %v", replyTimeout))
	}
}

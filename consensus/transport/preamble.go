package transport

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// A connection begins with these bytes, from the side that dialled:
//
//	offset  bytes
//	     0      4  "edri"
//	     4      1  version of the protocol, 1
//	     5      1  what the connection is for
//	     6      2  zero
//	     8      1  n, length of the server id that is meant
//	     9      n  the server id; a hello, which asks for it, has none
//
// A node serves only what is meant for it. An address may by now be another
// node's: entries that this one stored in that one's name would count as stored
// twice.
const (
	preambleMagic   = "edri"
	preambleVersion = 1
	preambleBytes   = 8

	forRaft    = 'r'
	forHello   = 'h'
	forForward = 'f'
	forSegment = 's'
	forImage   = 'i'
)

var errOtherNode = errors.New("meant for another node")

func preamble(purpose byte, to raft.ServerID) ([]byte, error) {
	if len(to) > math.MaxUint8 {
		return nil, fmt.Errorf("server id of %d bytes", len(to))
	}
	b := append([]byte(preambleMagic), preambleVersion, purpose, 0, 0, byte(len(to)))
	return append(b, to...), nil
}

func parsePreamble(b [preambleBytes]byte) (purpose byte, err error) {
	if string(b[:4]) != preambleMagic || b[6] != 0 || b[7] != 0 {
		return 0, fmt.Errorf("not an edri connection: %q", b[:])
	}
	if b[4] != preambleVersion {
		return 0, fmt.Errorf("protocol version %d, this node speaks %d", b[4], preambleVersion)
	}
	switch b[5] {
	case forRaft, forHello, forForward, forSegment, forImage:
		return b[5], nil
	}
	return 0, fmt.Errorf("unknown purpose %q", b[5])
}

// secure applies wrap, the place of TLS, to a connection. Nothing of a connection is
// read or written before.
func secure(raw net.Conn, wrap func(net.Conn, bool) (net.Conn, error), server bool) (net.Conn, error) {
	if wrap == nil {
		return raw, nil
	}
	conn, err := wrap(raw, server)
	if err != nil {
		return nil, fmt.Errorf("secure connection: %w", err)
	}
	return conn, nil
}

// receivePreamble secures an accepted connection and reads what it is for.
func (p *Port) receivePreamble(raw net.Conn) (net.Conn, byte, error) {
	if err := raw.SetDeadline(time.Now().Add(preambleTimeout)); err != nil {
		return nil, 0, fmt.Errorf("set deadline: %w", err)
	}
	conn, err := secure(raw, p.cfg.Wrap, true)
	if err != nil {
		return nil, 0, err
	}
	var b [preambleBytes]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return nil, 0, fmt.Errorf("read preamble: %w", err)
	}
	purpose, err := parsePreamble(b)
	if err != nil {
		return nil, 0, err
	}
	if err := p.checkMeant(conn, purpose); err != nil {
		return nil, 0, err
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, 0, fmt.Errorf("clear deadline: %w", err)
	}
	return conn, purpose, nil
}

// checkMeant reads whom a connection is meant for.
func (p *Port) checkMeant(conn net.Conn, purpose byte) error {
	var length [1]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return fmt.Errorf("read preamble: %w", err)
	}
	id := make([]byte, length[0])
	if _, err := io.ReadFull(conn, id); err != nil {
		return fmt.Errorf("read preamble: %w", err)
	}
	if purpose != forHello && p.cfg.ID != "" && string(id) != string(p.cfg.ID) {
		return fmt.Errorf("%w: %q, this is %s", errOtherNode, id, p.cfg.ID)
	}
	return nil
}

package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	maxHelloBytes = 64 << 10 // of an introduction
	helloTimeout  = 5 * time.Second
)

var errHelloTooLong = errors.New("introduction is too long")

// Hello asks the node at an address to introduce itself. The answer is what its
// Config.Hello returned.
func (p *Port) Hello(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	conn, err := p.dial(ctx, address, forHello)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	for _, ends := range []context.Context{ctx, p.lifetime} {
		defer context.AfterFunc(ends, func() { _ = conn.Close() })()
	}
	answer, err := readLine(conn)
	if err != nil {
		return nil, fmt.Errorf("read introduction of %s: %w", address, errors.Join(context.Cause(ctx), err))
	}
	return answer, nil
}

func (p *Port) answerHello(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(helloTimeout)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	answer, err := p.cfg.Hello()
	if err != nil {
		return fmt.Errorf("introduce this node: %w", err)
	}
	if len(answer) >= maxHelloBytes {
		return fmt.Errorf("introduce this node: %w: %d bytes", errHelloTooLong, len(answer))
	}
	if _, err := conn.Write(append(bytes.Clone(answer), '\n')); err != nil {
		return fmt.Errorf("write introduction: %w", err)
	}
	return nil
}

// readLine reads up to a line feed, which it leaves out.
func readLine(r io.Reader) ([]byte, error) {
	line, err := bufio.NewReaderSize(io.LimitReader(r, maxHelloBytes), maxHelloBytes).ReadSlice('\n')
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case len(line) == maxHelloBytes:
		return nil, errHelloTooLong
	}
	return nil, err
}

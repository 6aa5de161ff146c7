package event

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of edri.v1.Error and edri.v1.Violation.
const (
	errorCode       = 1
	errorMessage    = 2
	errorStream     = 3
	errorExpected   = 4
	errorActual     = 5
	errorPosition   = 6
	errorSize       = 7
	errorMax        = 8
	errorFirst      = 9
	errorLeader     = 10
	errorViolations = 11

	violationOp    = 1
	violationError = 2
)

// maxErrorDepth bounds errors inside violations inside errors. edri nests once.
const maxErrorDepth = 4

// AppendError appends the bytes of message edri.v1.Error to dst.
func AppendError(dst []byte, e *Error) []byte {
	dst = appendString(dst, errorCode, string(e.Code))
	dst = appendString(dst, errorMessage, e.Message)
	dst = appendString(dst, errorStream, e.Stream)
	dst = appendUint(dst, errorExpected, protowire.EncodeZigZag(int64(e.Expected)))
	dst = appendUint(dst, errorActual, uint64(e.Actual))
	dst = appendUint(dst, errorPosition, uint64(e.Position))
	dst = appendUint(dst, errorSize, uint64(e.Size))
	dst = appendUint(dst, errorMax, uint64(e.Max))
	dst = appendUint(dst, errorFirst, uint64(e.First))
	dst = appendString(dst, errorLeader, e.Leader)
	for _, v := range e.Violations {
		body := appendUint(nil, violationOp, uint64(v.Op))
		if v.Err != nil {
			body = protowire.AppendTag(body, violationError, protowire.BytesType)
			body = protowire.AppendBytes(body, AppendError(nil, v.Err))
		}
		dst = protowire.AppendTag(dst, errorViolations, protowire.BytesType)
		dst = protowire.AppendBytes(dst, body)
	}
	return dst
}

// DecodeError reads the bytes of message edri.v1.Error. Fields that it does not know
// are passed over, so that an older client understands a newer server.
func DecodeError(b []byte) (*Error, error) {
	return decodeError(b, 0)
}

func decodeError(b []byte, depth int) (*Error, error) {
	if depth == maxErrorDepth {
		return nil, Errorf(CodeInvalid, "error: nested more than %d deep", maxErrorDepth)
	}
	e := &Error{}
	for len(b) > 0 {
		num, number, body, n := consumeField(b)
		if n < 0 {
			return nil, Errorf(CodeInvalid, "error: malformed protobuf")
		}
		b = b[n:]
		switch num {
		case errorCode:
			e.Code = Code(body)
		case errorMessage:
			e.Message = string(body)
		case errorStream:
			e.Stream = string(body)
		case errorExpected:
			e.Expected = Expected(protowire.DecodeZigZag(number))
		case errorActual:
			e.Actual = Revision(number)
		case errorPosition:
			e.Position = Position(number)
		case errorSize:
			e.Size = int64(number)
		case errorMax:
			e.Max = int64(number)
		case errorFirst:
			e.First = Position(number)
		case errorLeader:
			e.Leader = string(body)
		case errorViolations:
			v, err := decodeViolation(body, depth)
			if err != nil {
				return nil, err
			}
			e.Violations = append(e.Violations, v)
		}
	}
	return e, nil
}

func decodeViolation(b []byte, depth int) (Violation, error) {
	var v Violation
	for len(b) > 0 {
		num, number, body, n := consumeField(b)
		if n < 0 {
			return Violation{}, Errorf(CodeInvalid, "violation: malformed protobuf")
		}
		b = b[n:]
		switch num {
		case violationOp:
			if number > math.MaxUint32 {
				return Violation{}, Errorf(CodeInvalid, "violation: op %d has more than 32 bits", number)
			}
			v.Op = int(number)
		case violationError:
			err, bad := decodeError(body, depth+1)
			if bad != nil {
				return Violation{}, bad
			}
			v.Err = err
		}
	}
	if v.Err == nil {
		v.Err = &Error{}
	}
	return v, nil
}

// consumeField reads one field: its varint in number, its bytes in body. n is negative
// where b is malformed. A field of another wire type comes back as number 0.
func consumeField(b []byte) (num protowire.Number, number uint64, body []byte, n int) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return 0, 0, nil, n
	}
	var m int
	switch typ {
	case protowire.VarintType:
		number, m = protowire.ConsumeVarint(b[n:])
	case protowire.BytesType:
		body, m = protowire.ConsumeBytes(b[n:])
	default:
		m = protowire.ConsumeFieldValue(num, typ, b[n:])
		num = 0
	}
	if m < 0 {
		return 0, 0, nil, m
	}
	return num, number, body, n + m
}

// appendString appends a string field, and nothing for the empty string.
func appendString(dst []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return protowire.AppendString(dst, s)
}

// appendUint appends a varint field, and nothing for 0.
func appendUint(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.VarintType)
	return protowire.AppendVarint(dst, v)
}

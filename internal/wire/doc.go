// Package wire reads and writes by hand what is stored and replicated: the messages of
// operations (Fields) and the rows of the state (Row).
//
// It is strict where generated code is lenient, since every node has to read the same
// out of the same bytes, in any version: a field is there once, has the type that is
// expected, and what is unknown is refused. The lenient reader of what a server answers
// is in api/edriv1/wire.
//
// Neither reader allocates or copies: what they return aliases what they read. Both keep
// their first error to the end, so that a caller asks once.
//
//	f := wire.Walk(body)
//	for f.Next() {
//		switch f.Number {
//		case 1:
//			f.SetBytes(&key)
//		case 2:
//			f.SetUint64(&revision)
//		default:
//			f.Unknown()
//		}
//	}
//	return f.Err()
//
//	r := wire.ReadRow(row)
//	r.Version(rowVersion)
//	key, revision := r.Text(), r.Uvarint()
//	return r.Done(errRow, "entry")
package wire

package kafka

import (
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// Error codes that kafka-go has no name for, or that are compared as numbers.
const (
	codeOffsetOutOfRange = 1
	codeProducerFenced   = kafka.Error(90)
)

// errLost says that the generation is over for this member: another may own its partitions already.
var errLost = errors.New("this member lost its generation of the consumer group")

// stopError ends the whole engine: an operator has to decide.
type stopError struct{ err error }

func (e *stopError) Error() string { return e.err.Error() }
func (e *stopError) Unwrap() error { return e.err }

func stopf(format string, args ...any) error { return &stopError{fmt.Errorf(format, args...)} }

// isAny says whether err is one of the broker's errors given.
func isAny(err error, codes ...kafka.Error) bool {
	for _, c := range codes {
		if errors.Is(err, c) {
			return true
		}
	}
	return false
}

// lostGeneration are the answers to a commit that say that the generation is over.
func lostGeneration(err error) bool {
	return isAny(err, kafka.IllegalGeneration, kafka.UnknownMemberId, kafka.RebalanceInProgress, kafka.FencedInstanceID)
}

// badSequence are the answers to an idempotent produce that retrying the same bytes cannot cure: what the
// broker knows of this producer is not what we know.
func badSequence(err error) bool {
	return isAny(err, kafka.OutOfOrderSequenceNumber, kafka.InvalidProducerEpoch, kafka.InvalidProducerIDMapping, kafka.UnknownProducerId, codeProducerFenced,
		kafka.InvalidTransactionState, kafka.TransactionCoordinatorFenced)
}

// badRecord are the answers that depend on the records sent: retrying is no use, leaving one out is.
func badRecord(err error) bool {
	return isAny(err, kafka.MessageSizeTooLarge, kafka.RecordListTooLarge, kafka.InvalidRecord, kafka.InvalidTimestamp)
}

// denied are the answers that only an operator can change. They are retried, slowly: he may.
func denied(err error) bool {
	return isAny(err, kafka.TopicAuthorizationFailed, kafka.GroupAuthorizationFailed, kafka.ClusterAuthorizationFailed, kafka.TransactionalIDAuthorizationFailed, kafka.SASLAuthenticationFailed)
}

// never is the permanent argument of retry for what ends only with its context.
func never(error) bool { return false }

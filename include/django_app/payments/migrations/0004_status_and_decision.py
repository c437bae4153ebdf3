"""
A status and its decisions can't part: what 0002 left open.

A status moves forward only (pending to posted or rejected, posted to voided) and, when the transaction
commits, has its decision; a decision, when its transaction commits, has its status. Decisions are never
changed nor deleted (0002), so a status can only move in the transaction that inserts its decision: a
decision committed earlier would have moved it then, and nothing moves back. The time from which a
commission counts moves with the approval only.

What a session was opened, closed, counted and reconciled with is set once and stays.
"""

from django.db import migrations

GUARDS = """
CREATE FUNCTION cash_transaction_moves_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
        ('pending', 'posted'), ('pending', 'rejected'), ('posted', 'voided')
    ) THEN
        RAISE EXCEPTION '% never goes from % to %', OLD.number, OLD.status, NEW.status
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.accrued_at IS DISTINCT FROM OLD.accrued_at
       AND (OLD.status, NEW.status) IS DISTINCT FROM ('pending', 'posted') THEN
        RAISE EXCEPTION 'amounts, parties and times of a cash transaction never change'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cash_transaction_forward BEFORE UPDATE ON payments_cashtransaction
    FOR EACH ROW EXECUTE FUNCTION cash_transaction_moves_forward();

CREATE FUNCTION cash_transaction_starts_explained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM payments_transactiondecision WHERE transaction_id = NEW.id AND kind = NEW.status
    ) THEN
        RAISE EXCEPTION 'the status of % moves only with a decision', NEW.number
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER cash_transaction_explained AFTER INSERT ON payments_cashtransaction
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status IN ('rejected', 'voided'))
    EXECUTE FUNCTION cash_transaction_starts_explained();

CREATE FUNCTION transaction_decision_has_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM payments_cashtransaction WHERE id = NEW.transaction_id
            AND (status = NEW.kind OR NEW.kind = 'approved' AND status IN ('posted', 'voided'))
    ) THEN
        RAISE EXCEPTION 'a decision moves the status of its transaction'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER transaction_decision_moved AFTER INSERT ON payments_transactiondecision
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION transaction_decision_has_status();

CREATE FUNCTION cash_session_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.number, NEW.agent_id, NEW.opening_float, NEW.opened_at)
       IS DISTINCT FROM (OLD.number, OLD.agent_id, OLD.opening_float, OLD.opened_at)
       OR (OLD.closed_at IS NOT NULL AND (NEW.closed_at, NEW.closed_by, NEW.expected_balance)
           IS DISTINCT FROM (OLD.closed_at, OLD.closed_by, OLD.expected_balance))
       OR (OLD.counted_at IS NOT NULL AND (NEW.counted_at, NEW.counted_by, NEW.counted_balance, NEW.variance)
           IS DISTINCT FROM (OLD.counted_at, OLD.counted_by, OLD.counted_balance, OLD.variance))
       OR (OLD.reconciled_at IS NOT NULL AND (NEW.reconciled_at, NEW.reconciled_by)
           IS DISTINCT FROM (OLD.reconciled_at, OLD.reconciled_by))
       OR (NEW.status <> OLD.status
           AND (OLD.status, NEW.status) NOT IN (('open', 'closed'), ('closed', 'reconciled')))
    THEN
        RAISE EXCEPTION 'what was recorded of cash session % never changes', OLD.number
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cash_session_fixed BEFORE UPDATE ON payments_cashsession
    FOR EACH ROW EXECUTE FUNCTION cash_session_is_fixed();
"""

UNGUARD = """
DROP TRIGGER cash_transaction_forward ON payments_cashtransaction;
DROP TRIGGER cash_transaction_explained ON payments_cashtransaction;
DROP TRIGGER transaction_decision_moved ON payments_transactiondecision;
DROP TRIGGER cash_session_fixed ON payments_cashsession;
DROP FUNCTION cash_transaction_moves_forward();
DROP FUNCTION cash_transaction_starts_explained();
DROP FUNCTION transaction_decision_has_status();
DROP FUNCTION cash_session_is_fixed();
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0003_permissions")]

    operations = [migrations.RunSQL(GUARDS, UNGUARD)]

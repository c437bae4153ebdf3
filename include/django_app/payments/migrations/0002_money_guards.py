"""
What the database itself refuses about money.

Amounts, parties and times of transactions never change, and nothing is deleted. A status moves only in the
transaction that inserts its decision; the deferred check looks when that transaction commits.
"""

from django.db import migrations

GUARDS = """
CREATE FUNCTION cash_transaction_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'cash transactions are never deleted' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF (NEW.number, NEW.session_id, NEW.agent_id, NEW.payment_id, NEW.plate, NEW.fiscal_year, NEW.tax,
        NEW.tendered, NEW.change, NEW.posted_at, NEW.posted_by, NEW.commission_rate, NEW.commission)
       IS DISTINCT FROM
       (OLD.number, OLD.session_id, OLD.agent_id, OLD.payment_id, OLD.plate, OLD.fiscal_year, OLD.tax,
        OLD.tendered, OLD.change, OLD.posted_at, OLD.posted_by, OLD.commission_rate, OLD.commission)
       OR (OLD.accrued_at IS NOT NULL AND NEW.accrued_at IS DISTINCT FROM OLD.accrued_at)
       OR (OLD.commission_paid_at IS NOT NULL AND NEW.commission_paid_at IS DISTINCT FROM OLD.commission_paid_at)
    THEN
        RAISE EXCEPTION 'amounts, parties and times of a cash transaction never change'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cash_transaction_fixed BEFORE UPDATE OR DELETE ON payments_cashtransaction
    FOR EACH ROW EXECUTE FUNCTION cash_transaction_is_fixed();

CREATE FUNCTION cash_transaction_has_decision() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE wanted text := CASE NEW.status WHEN 'posted' THEN 'approved' ELSE NEW.status END;
BEGIN
    IF NEW.status <> OLD.status AND NOT EXISTS (
        SELECT 1 FROM payments_transactiondecision
        WHERE transaction_id = NEW.id AND kind = wanted
    ) THEN
        RAISE EXCEPTION 'the status of % moves only with a decision', NEW.number
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER cash_transaction_decided AFTER UPDATE OF status ON payments_cashtransaction
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cash_transaction_has_decision();

CREATE FUNCTION money_record_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is never changed nor deleted', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER transaction_decision_fixed BEFORE UPDATE OR DELETE ON payments_transactiondecision
    FOR EACH ROW EXECUTE FUNCTION money_record_is_fixed();
CREATE TRIGGER commission_report_fixed BEFORE UPDATE OR DELETE ON payments_commissionreport
    FOR EACH ROW EXECUTE FUNCTION money_record_is_fixed();
CREATE TRIGGER cash_session_kept BEFORE DELETE ON payments_cashsession
    FOR EACH ROW EXECUTE FUNCTION money_record_is_fixed();
"""

UNGUARD = """
DROP TRIGGER cash_transaction_fixed ON payments_cashtransaction;
DROP TRIGGER cash_transaction_decided ON payments_cashtransaction;
DROP TRIGGER transaction_decision_fixed ON payments_transactiondecision;
DROP TRIGGER commission_report_fixed ON payments_commissionreport;
DROP TRIGGER cash_session_kept ON payments_cashsession;
DROP FUNCTION cash_transaction_is_fixed();
DROP FUNCTION cash_transaction_has_decision();
DROP FUNCTION money_record_is_fixed();
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial")]

    operations = [migrations.RunSQL(GUARDS, UNGUARD)]

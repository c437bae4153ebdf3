"""An entry's hash is the next one's previous hash, which is unique already; a second index only cost time."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_guards")]

    operations = [
        migrations.AlterField(
            model_name="auditentry",
            name="entry_hash",
            field=models.BinaryField(verbose_name="entry hash"),
        ),
    ]
